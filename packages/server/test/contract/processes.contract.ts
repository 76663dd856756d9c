import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { openDatabase } from '../../src/db/open-database.ts'
import { LocalEvents } from '../../src/queue/events/local-events.ts'
import { createRequestQueue } from '../../src/queue/sql-request-queue.ts'
import type { Place } from './backends.ts'
import { submission } from './queue-samples.ts'

const RUNNERS = ['runner-1', 'runner-2']
const REQUESTS = 40

/** Several processes on one database, from its very first moment. */
export function describeProcesses(prepare: () => Promise<Place>): void {
  it('is set up by several processes at once, which then take each request once', async () => {
    const place = await prepare()
    const children = RUNNERS.map((runnerId) => startClaimer(place, runnerId))
    const events = new LocalEvents()
    const [database] = await Promise.all([openDatabase(place.config), ...children.map(message('ready'))])
    const queue = createRequestQueue(database, { events, safetyPollSeconds: 3600 })
    try {
      for (const child of children) events.bridge(child)
      const ids = Array.from({ length: REQUESTS }, (_, i) => `r${i}`)
      for (const id of ids) await queue.enqueue(submission(id))
      const heard = new Set<string>()
      for (const id of ids) queue.onRequestChange(id, () => heard.add(id))
      const answers = Promise.all(children.map(message('taken')))
      for (const child of children) child.send('go')
      const taken = (await answers).flat()
      expect(taken.length).toBe(REQUESTS)
      expect(new Set(taken)).toEqual(new Set(ids))
      expect(heard).toEqual(new Set(ids)) // in this process, by the bridges
      expect(await queue.load()).toEqual([])
    } finally {
      for (const child of children) child.kill('SIGKILL')
      await queue.close()
      await events.close()
      await database.close()
      await place.clear()
    }
  })
}

function startClaimer(place: Place, runnerId: string): ChildProcess {
  const script = new URL('./claimer.ts', import.meta.url)
  return fork(script, [JSON.stringify(place.config), runnerId], { execArgv: ['--import', 'tsx'] })
}

/** Resolves with the child's message of that name; rejects when the child ends without it. */
function message(name: 'ready' | 'taken'): (child: ChildProcess) => Promise<string[]> {
  return async (child) => {
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`A claimer ended (exit code ${code}) before it said '${name}'.`)
    })
    const said = new Promise<string[]>((resolve) => {
      child.on('message', (content) => {
        if (content === name) resolve([])
        else if (typeof content === 'object' && name in content) resolve(Object(content)[name])
      })
    })
    return Promise.race([said, ended])
  }
}
