import { join } from 'node:path'
import { type Environment, readConfig } from '../../packages/server/src/config/config.ts'
import { freePort } from '../../packages/server/test/fakes/free-port.ts'
import { ManagedProcess } from './managed-process.ts'
import type { PostgresServer } from './postgres-server.ts'
import type { BenchConfig } from './processes/setup.ts'
import type { Struck } from './processes/strikes.ts'
import { Revival } from './revival.ts'
import type { Death, System, Victim } from './system.ts'

const entry = (name: string) => new URL(`./processes/${name}-entry.ts`, import.meta.url)

/** One machine, as `darkroom serve --runners 2`, on libsql. */
export async function createLibsqlSystem(folder: string, runners = 2): Promise<System> {
  const config = benchConfig(folder, await freePort(), { DARKROOM_RUNNERS: String(runners) })
  const server = new ManagedProcess({
    name: 'server',
    entry: entry('server'),
    setup: config,
    log: join(folder, 'log'),
  })
  const revival = new Revival()
  revival.watch([server])
  return {
    name: `Darkroom on libsql: one server, runners: ${runners}`,
    urls: [urlOf(config)],
    journal: config.journal,
    diedAlone: revival.diedAlone,
    victims: [
      runnerVictim('runner', 55, 'SIGKILL', server, revival),
      runnerVictim('runner (hangs)', 5, 'SIGSTOP', server, revival),
      processVictim('gateway', 25, server, revival, false),
      processVictim('gateway and runners', 15, server, revival, true),
    ],
    start: async () => void (await server.start()),
    recover: () => revival.settled(),
    async stop() {
      await revival.stop()
      await server.kill('SIGTERM')
      server.endLeftovers()
    },
  }
}

/** Two gateways and two runner machines, as `darkroom gateway` and `darkroom runner`, on PostgreSQL. */
export async function createPostgresSystem(folder: string, postgres: PostgresServer): Promise<System> {
  const environment = { DATABASE_URL: postgres.url }
  const configs = [
    benchConfig(folder, await freePort(), environment),
    benchConfig(folder, await freePort(), environment),
  ] as const
  const make = (kind: 'gateway' | 'runners') => (config: BenchConfig, index: number) =>
    new ManagedProcess({
      name: `${kind} ${index + 1}`,
      entry: entry(kind),
      setup: config,
      log: join(folder, 'log'),
    })
  const gateways = configs.map(make('gateway'))
  const machines = configs.map(make('runners'))
  const revival = new Revival()
  revival.watch([...gateways, ...machines])
  return {
    name: 'Darkroom on PostgreSQL: two gateways, two runner machines',
    urls: configs.map(urlOf),
    journal: configs[0].journal,
    diedAlone: revival.diedAlone,
    victims: [
      ...machines.map((machine) => runnerVictim('runner', 22, 'SIGKILL', machine, revival)),
      ...machines.map((machine) => runnerVictim('runner (hangs)', 3, 'SIGSTOP', machine, revival)),
      ...machines.map((machine) => processVictim('runner machine', 8, machine, revival, true)),
      ...gateways.map((gateway) => processVictim('gateway', 10, gateway, revival, false)),
      databaseVictim(14, postgres),
    ],
    async start() {
      await Promise.all([...gateways, ...machines].map((each) => each.start()))
    },
    recover: () => revival.settled(),
    async stop() {
      await revival.stop()
      await Promise.all([...gateways, ...machines].map((each) => each.kill('SIGTERM')))
      for (const each of [...gateways, ...machines]) each.endLeftovers()
    },
  }
}

function benchConfig(folder: string, port: number, environment: Environment): BenchConfig {
  const overrides = { port, dataFolder: join(folder, 'data'), allowPrivateTargets: true, logLevel: 'warn' } as const
  return { ...readConfig(overrides, environment), journal: join(folder, 'journal') }
}

function urlOf({ port }: BenchConfig): string {
  return `http://127.0.0.1:${port}`
}

function runnerVictim(
  name: string,
  weight: number,
  signal: 'SIGKILL' | 'SIGSTOP',
  machine: ManagedProcess,
  revival: Revival,
): Victim {
  return {
    name,
    weight,
    async strike(): Promise<Death | undefined> {
      if (revival.reviving(machine)) return undefined
      const answer = await machine.ask<{ struck: Struck }>({ strike: signal }, 'struck')
      if (answer?.struck.pid === undefined || answer.struck.at === undefined) return undefined
      return { pids: [answer.struck.pid], at: answer.struck.at, hung: signal === 'SIGSTOP' }
    },
  }
}

/** The runners of a gateway that dies alone finish what they hold and go; those of a machine die with it. */
export function processVictim(
  name: string,
  weight: number,
  victim: ManagedProcess,
  revival: Revival,
  group: boolean,
): Victim {
  return {
    name,
    weight,
    async strike(): Promise<Death | undefined> {
      if (!victim.up || revival.reviving(victim)) return undefined
      const answer = group ? await victim.ask<{ runners: number[] }>({ list: 'runners' }, 'runners') : undefined
      const at = Date.now()
      await victim.kill('SIGKILL', group)
      revival.revive(victim)
      return { pids: answer?.runners ?? [], at }
    },
  }
}

export function databaseVictim(weight: number, postgres: PostgresServer): Victim {
  return {
    name: 'database',
    weight,
    async strike(): Promise<Death> {
      const at = Date.now()
      await postgres.kill()
      await postgres.start()
      return { pids: [], at }
    },
  }
}
