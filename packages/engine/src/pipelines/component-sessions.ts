import type { Weights } from '../checkpoint/prepared-weights.ts'
import type { Graph } from '../graph/graph.ts'
import type { Runtime, Session } from '../runtime/session.ts'

/** The sessions of a pipeline's components: one for each graph and size, made when first used. */
export class ComponentSessions {
  readonly #runtime: Runtime
  readonly #sessions = new Map<string, Promise<Session>>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** @param variant what tells this graph from others of the component: outputs, sizes */
  get(weights: Weights, variant: string, build: () => Graph): Promise<Session> {
    const key = `${weights.name} ${weights.identity} ${variant}`
    const known = this.#sessions.get(key)
    if (known) return known
    const created = this.#runtime.createSession(build(), weights)
    this.#sessions.set(key, created)
    created.catch(() => this.#sessions.delete(key))
    return created
  }

  async release(): Promise<void> {
    const sessions = await Promise.allSettled(this.#sessions.values())
    this.#sessions.clear()
    await Promise.all(sessions.flatMap((session) => (session.status === 'fulfilled' ? [session.value.release()] : [])))
  }
}
