/** Something that can be killed while the system works. */
export interface Victim {
  readonly name: string
  /** How often it is chosen, relative to the others. */
  readonly weight: number
  /** Kills it and sees to its return; resolves once it is dead, or with nothing when it was not up. */
  strike(): Promise<Death | undefined>
}

/** Runner processes that a strike ended (or stopped), and when. */
export interface Death {
  readonly pids: readonly number[]
  readonly at: number
  /** They were stopped and not killed: a hang, which somebody has to notice first. */
  readonly hung?: boolean
}

/** A queue server under test: Darkroom in one of its forms, or a peer behind the same few HTTP calls. */
export interface System {
  readonly name: string
  /** Base URLs of its gateways, up or not. */
  readonly urls: readonly string[]
  readonly victims: readonly Victim[]
  /** Where its runners write what they did. */
  readonly journal: string
  /** Processes that ended although nobody killed them. */
  readonly diedAlone: readonly string[]
  start(): Promise<void>
  /** Brings back everything that was struck and has not come back by itself. */
  recover(): Promise<void>
  stop(): Promise<void>
}
