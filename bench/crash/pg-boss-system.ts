import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../packages/server/test/fakes/free-port.ts'
import { databaseVictim, processVictim } from './darkroom-system.ts'
import { ManagedProcess } from './managed-process.ts'
import type { PostgresServer } from './postgres-server.ts'
import type { PeerSetup } from './processes/peer-setup.ts'
import { Revival } from './revival.ts'
import type { Death, System, Victim } from './system.ts'

/**
 * pg-boss as an application would deploy it: two gateways that submit and read jobs, two machines with a worker each. The
 * same share of the kills hits workers, gateways and the database as in Darkroom's system; what starts a killed worker
 * again is the bench, as a process supervisor would.
 */
export async function createPgBossSystem(
  folder: string,
  postgres: PostgresServer,
  modulePath: string,
): Promise<System> {
  const journal = join(folder, 'journal')
  mkdirSync(journal)
  const make = async (kind: 'gateway' | 'worker', index: number) => {
    const setup: PeerSetup = { databaseUrl: postgres.url, modulePath, port: await freePort(), journal }
    const process = new ManagedProcess({
      name: `${kind} ${index}`,
      entry: new URL(`./processes/peer-${kind}-entry.ts`, import.meta.url),
      setup,
      log: join(folder, 'log'),
    })
    return { process, url: `http://127.0.0.1:${setup.port}` }
  }
  const gateways = [await make('gateway', 1), await make('gateway', 2)]
  const workers = [(await make('worker', 1)).process, (await make('worker', 2)).process]
  const revival = new Revival()
  revival.watch([...gateways.map(({ process }) => process), ...workers])
  return {
    name: 'pg-boss on PostgreSQL: two gateways, two workers',
    urls: gateways.map(({ url }) => url),
    journal,
    diedAlone: revival.diedAlone,
    victims: [
      ...workers.map((worker) => workerVictim(worker, revival)),
      ...gateways.map(({ process }) => processVictim('gateway', 10, process, revival, false)),
      databaseVictim(14, postgres),
    ],
    async start() {
      // One after the other: each creates the schema and the queue unless they are there.
      for (const each of [...gateways.map(({ process }) => process), ...workers]) await each.start()
    },
    recover: () => revival.settled(),
    async stop() {
      await revival.stop()
      await Promise.all([...gateways.map(({ process }) => process), ...workers].map((each) => each.kill('SIGTERM')))
    },
  }
}

function workerVictim(worker: ManagedProcess, revival: Revival): Victim {
  return {
    name: 'worker',
    weight: 33,
    async strike(): Promise<Death | undefined> {
      const { pid } = worker
      if (pid === undefined || revival.reviving(worker)) return undefined
      const at = Date.now()
      await worker.kill('SIGKILL')
      revival.revive(worker)
      return { pids: [pid], at }
    },
  }
}
