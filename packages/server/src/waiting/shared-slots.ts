import { WaitingLine } from './waiting-line.ts'

export interface SlotLimits<Name extends string> {
  readonly total: number
  /** What one client, host or whatever is told apart may have of them. */
  readonly shares: Readonly<Record<Name, number>>
  /** Which of them take turns. */
  readonly turnsOf: NoInfer<Name>
}

/** Lets so many do something at a time, first come, first served, but for those who have their share already: others pass them. */
export class SharedSlots<Name extends string> {
  readonly #limits: SlotLimits<Name>
  readonly #names: readonly Name[]
  readonly #taken = new Map<string, number>()
  readonly #line: WaitingLine<Readonly<Record<Name, string>>>
  #underway = 0

  constructor(limits: SlotLimits<Name>) {
    this.#limits = limits
    this.#names = Object.keys(limits.shares) as Name[]
    this.#line = new WaitingLine((who) => who[limits.turnsOf])
  }

  /**
   * Waits for a slot.
   * @returns gives it back; called again it does nothing
   * @throws the signal's reason
   */
  async take(who: Readonly<Record<Name, string>>, signal?: AbortSignal): Promise<() => void> {
    const turn = this.#line.join(who, signal)
    this.#serve()
    await turn
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#count(who, -1)
      this.#serve()
    }
  }

  /** Does it with a slot; it is not begun where the signal is aborted before that. @throws the signal's reason, and what `work` throws */
  async run<T>(who: Readonly<Record<Name, string>>, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const giveBack = await this.take(who, signal)
    try {
      return await work()
    } finally {
      giveBack()
    }
  }

  #serve(): void {
    while (this.#underway < this.#limits.total) {
      const next = this.#line.admit((who) => this.#hasShareLeft(who))
      if (next === undefined) break
      this.#count(next, 1)
    }
  }

  #hasShareLeft(who: Readonly<Record<Name, string>>): boolean {
    return this.#names.every((name) => (this.#taken.get(nameOf(name, who)) ?? 0) < this.#limits.shares[name])
  }

  #count(who: Readonly<Record<Name, string>>, change: 1 | -1): void {
    this.#underway += change
    for (const name of this.#names) addTo(this.#taken, nameOf(name, who), change)
  }
}

function nameOf<Name extends string>(name: Name, who: Readonly<Record<Name, string>>): string {
  return `${name} ${who[name]}`
}

/** A count that is zero again is forgotten: names are as many as clients make up. */
function addTo(counts: Map<string, number>, name: string, change: number): void {
  const count = (counts.get(name) ?? 0) + change
  if (count === 0) counts.delete(name)
  else counts.set(name, count)
}
