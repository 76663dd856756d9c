import { createInterface } from 'node:readline'

/** Asks on the terminal. @returns whether the answer is yes; the end of the input (Ctrl-D) and Ctrl-C are none */
export function confirm(
  question: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): Promise<boolean> {
  const prompt = createInterface({ input, output })
  return new Promise((resolve) => {
    // While a terminal is asked, Ctrl-C is a key, and no signal comes.
    prompt.once('SIGINT', () => {
      process.exitCode = 130
      prompt.close()
    })
    prompt.once('close', () => resolve(false))
    prompt.question(question, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()))
      prompt.close()
    })
  })
}
