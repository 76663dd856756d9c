import cliProgress from 'cli-progress'

/** A progress bar of steps on standard error; silent where that is no terminal. */
export function stepBar(): { update(done: number, total: number): void; stop(): void } {
  const bar = new cliProgress.SingleBar({
    format: '{bar} {value}/{total} steps | {duration_formatted}',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  })
  let started = false
  return {
    update(done, total) {
      if (!started) bar.start(total, 0)
      started = true
      bar.update(done)
    },
    stop: () => bar.stop(),
  }
}
