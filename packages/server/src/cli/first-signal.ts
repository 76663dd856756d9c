/** Resolves with the next SIGINT (Ctrl-C) or SIGTERM of this process. */
export function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const answer = (signal: NodeJS.Signals) => {
      process.off('SIGINT', answer)
      process.off('SIGTERM', answer)
      resolve(signal)
    }
    process.on('SIGINT', answer)
    process.on('SIGTERM', answer)
  })
}
