/** Entry of the process that attacks, of its own so that what it costs is told apart from what the server costs. */
import { constants, setPriority } from 'node:os'
import { receiveSetup, stopOnTerm } from '../../crash/processes/setup.ts'
import { ATTACKS } from '../attacks.ts'
import { endsAfter, type Scale, type Target } from '../target.ts'

export interface AttackerSetup {
  readonly target: Target
  readonly scale: Scale
  readonly yields: boolean
}

const { target, scale, yields } = await receiveSetup<AttackerSetup>()
// A client is on another machine: what it costs to attack must not be taken from the processor of the server.
if (yields) setPriority(constants.priority.PRIORITY_LOW)
const stop = new AbortController()
stopOnTerm(async () => stop.abort())
process.on('message', async (message) => {
  if (typeof message !== 'object' || message === null || !('attack' in message)) return
  const attack = ATTACKS[String(message.attack)]
  if (attack === undefined) throw new Error(`there is no attack ${message.attack}`)
  process.send?.({ outcomes: await attack(target, scale, endsAfter(scale.mostSeconds, stop.signal)) })
})
process.send?.({ ready: true })
