/** Why something that makes drawing faster cannot be had here. The message is one sentence for whoever runs the machine. */
export class AccelerationError extends Error {
  override readonly name = 'AccelerationError'
}
