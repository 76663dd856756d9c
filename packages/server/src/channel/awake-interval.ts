/** A tick that comes later than this many intervals comes from a process that stood still. */
const LATE = 2

/**
 * Calls `tick` every `ms` milliseconds and says whether this process stood still since the last call: a suspended machine, SIGSTOP, a
 * debugger. Then nobody's silence proves anything: what they sent lies unread in this process's sockets.
 */
export function awakeInterval(ms: number, tick: (stoodStill: boolean) => void): NodeJS.Timeout {
  let last = { wall: Date.now(), monotonic: performance.now() }
  return setInterval(() => {
    // The monotonic clock does not count a suspended machine's time, the wall clock counts what somebody sets.
    const now = { wall: Date.now(), monotonic: performance.now() }
    const passed = Math.max(now.wall - last.wall, now.monotonic - last.monotonic)
    last = now
    tick(passed > LATE * ms)
  }, ms)
}
