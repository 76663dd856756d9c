/** What a run returns at its end; what it yields on the way is left unread. */
export async function finished<T>(run: AsyncGenerator<unknown, T>): Promise<T> {
  let next = await run.next()
  while (!next.done) next = await run.next()
  return next.value
}
