import { createHash } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import type { Query } from '../../db/database.ts'
import type { PayloadsTable } from '../../db/tables.ts'
import type { QueueContext } from '../context.ts'
import { PayloadErased, type PayloadPart, type StoredPayload, type StoredPayloads } from '../request-queue.ts'
import { INLINE_CHARACTERS, piecesOf } from '../text-pieces.ts'

/** Contents that are hashed, or written by one statement, before others have their turn in the event loop: at most 1 MiB of them. */
const CONTENTS_AT_ONCE = 4
const PIECES_AT_ONCE = 500

/** What the row of `payloads` says of a body: the text, or how many pieces hold it. */
export interface PayloadColumns {
  readonly text: string
  readonly bytes: number | null
  readonly pieces: number
}

/** Whether a body is stored in pieces, which takes more than one statement. */
export function isInPieces(text: string): boolean {
  return text.length > INLINE_CHARACTERS
}

interface DescribedPiece {
  readonly content: string
  readonly sha256: string
  readonly bytes: number
}

/** A body as it is stored. */
export interface DescribedBody {
  readonly text: string
  /** Absent where it is short. */
  readonly pieces?: readonly DescribedPiece[]
}

/** Cuts a body and hashes its pieces: what can be done before the unit of work that stores it. */
export async function describeBody(text: string): Promise<DescribedBody> {
  const pieces = piecesOf(text)
  if (pieces === undefined) return { text }
  const described: DescribedPiece[] = []
  for (const content of pieces) {
    const sha256 = createHash('sha256').update(content).digest('hex')
    described.push({ content, sha256, bytes: Buffer.byteLength(content) })
    if (described.length % CONTENTS_AT_ONCE === 0) await othersTurn()
  }
  return { text, pieces: described }
}

/** Stores a body's pieces, if it has any, as part of the caller's unit of work. */
export async function storePayload(
  query: Query,
  requestId: string,
  part: PayloadPart,
  { text, pieces }: DescribedBody,
): Promise<PayloadColumns> {
  if (pieces === undefined) return { text, bytes: null, pieces: 0 }
  await useContents(query, pieces)
  const rows = pieces.map(({ sha256 }, position) => ({ request_id: requestId, part, position, sha256 }))
  for (let from = 0; from < rows.length; from += PIECES_AT_ONCE)
    await query
      .insertInto('payload_pieces')
      .values(rows.slice(from, from + PIECES_AT_ONCE))
      .execute()
  return { text: '', bytes: pieces.reduce((sum, { bytes }) => sum + bytes, 0), pieces: pieces.length }
}

/** In the order of their hashes: two that store the same contents wait for each other's rows, and never both. */
async function useContents(query: Query, pieces: readonly DescribedPiece[]): Promise<void> {
  const uses = new Map<string, DescribedPiece & { uses: number }>()
  for (const { content, sha256, bytes } of pieces) {
    const known = uses.get(sha256)
    if (known) known.uses += 1
    else uses.set(sha256, { sha256, content, bytes, uses: 1 })
  }
  const rows = [...uses.values()].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1))
  for (let from = 0; from < rows.length; from += CONTENTS_AT_ONCE) {
    if (from > 0) await othersTurn()
    await query
      .insertInto('payload_contents')
      .values(rows.slice(from, from + CONTENTS_AT_ONCE))
      .onConflict((conflict) =>
        conflict.column('sha256').doUpdateSet({ uses: sql`payload_contents.uses + excluded.uses` }),
      )
      .execute()
  }
}

/** SQLite answers within the call, so that statements behind one another are one piece of work to the event loop. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Lets go of the pieces of requests, and erases the contents that nobody else uses. */
export async function dropPieces(query: Query, requestIds: readonly string[]): Promise<void> {
  const used = await query
    .selectFrom('payload_pieces')
    .select(['sha256', (eb) => eb.fn.countAll<number>().as('uses')])
    .where('request_id', 'in', requestIds)
    .groupBy('sha256')
    .orderBy('sha256')
    .execute()
  if (used.length === 0) return
  for (const { sha256, uses } of used) {
    const { uses: left } = await query
      .updateTable('payload_contents')
      .set((eb) => ({ uses: eb('uses', '-', uses) }))
      .where('sha256', '=', sha256)
      .returning('uses')
      .executeTakeFirstOrThrow()
    if (left <= 0) await query.deleteFrom('payload_contents').where('sha256', '=', sha256).execute()
  }
  await query.deleteFrom('payload_pieces').where('request_id', 'in', requestIds).execute()
}

type PayloadRow = Selectable<PayloadsTable>

/** The bodies of a request, to be read piece by piece; `undefined` for a request that there is not. */
export async function payloads(context: QueueContext, requestId: string): Promise<StoredPayloads | undefined> {
  return (await payloadsOfEach(context, [requestId])).get(requestId)
}

/** The bodies of requests, those that there are: by one statement, for a listing has a hundred of them. */
export async function payloadsOfEach(
  context: QueueContext,
  requestIds: readonly string[],
): Promise<ReadonlyMap<string, StoredPayloads>> {
  const rows = await context.database.read((query) =>
    query.selectFrom('payloads').selectAll().where('request_id', 'in', requestIds).execute(),
  )
  return new Map(
    rows.map((row) => {
      const input = storedPayload(context, row, 'input')
      const output = storedPayload(context, row, 'output')
      return [row.request_id, { ...(input && { input }), ...(output && { output }) }]
    }),
  )
}

function storedPayload(context: QueueContext, row: PayloadRow, part: PayloadPart): StoredPayload | undefined {
  const text = row[part]
  const bytes = row[`${part}_bytes`]
  const pieces = row[`${part}_pieces`]
  if (text === null) return undefined
  if (pieces > 0)
    return { bytes: bytes ?? 0, isKept: true, read: () => readPieces(context, row.request_id, part, pieces) }
  if (bytes !== null) return { bytes, isKept: false, read: () => all('null') }
  return { bytes: Buffer.byteLength(text), isKept: true, read: () => all(text) }
}

async function* all(text: string): AsyncGenerator<string> {
  yield text
}

/** Each piece when it is asked for: who reads slowly holds one of them in memory, not all. */
async function* readPieces(
  context: QueueContext,
  requestId: string,
  part: PayloadPart,
  count: number,
): AsyncGenerator<string> {
  for (let position = 0; position < count; position++) {
    const row = await context.database.read((query) =>
      query
        .selectFrom('payload_pieces')
        .innerJoin('payload_contents', 'payload_contents.sha256', 'payload_pieces.sha256')
        .select('content')
        .where('request_id', '=', requestId)
        .where('part', '=', part)
        .where('position', '=', position)
        .executeTakeFirst(),
    )
    if (row === undefined) throw new PayloadErased(`The ${part} of request ${requestId} was erased while it was read`)
    yield row.content
  }
}

/** A whole body. */
export async function payloadText(payload: Pick<StoredPayload, 'read'>): Promise<string> {
  const pieces: string[] = []
  for await (const piece of payload.read()) pieces.push(piece)
  return pieces.join('')
}

/** Bytes of all contents. */
async function contentBytes(context: QueueContext): Promise<number> {
  const { bytes } = await context.database.read((query) =>
    query
      .selectFrom('payload_contents')
      .select(sql<number>`coalesce(sum(bytes), 0)`.as('bytes'))
      .executeTakeFirstOrThrow(),
  )
  return Number(bytes)
}

/** Pieces by which the oldest finished requests are found, and how many of these are erased at once. */
const OLDEST_PIECES = 512
const ERASED_AT_ONCE = 8

/**
 * Erases the bodies of finished requests, those first that were stored first, until what is left fits.
 * @returns the bytes that are left: what waits or runs is never erased
 */
export async function trimPayloads(context: QueueContext, budgetBytes: number): Promise<number> {
  for (;;) {
    const bytes = await contentBytes(context)
    if (bytes <= budgetBytes) return bytes
    const erased = await context.database.atomically('relaxed', async (query) => {
      const oldest = query
        .selectFrom('payload_pieces')
        .innerJoin('requests', 'requests.request_id', 'payload_pieces.request_id')
        .select('payload_pieces.request_id')
        .where('state', '=', sql.lit('completed'))
        .orderBy('id')
        .limit(OLDEST_PIECES)
      const rows = await query
        .selectFrom('requests')
        .innerJoin('payloads', 'payloads.request_id', 'requests.request_id')
        .select(['requests.request_id', 'input_bytes', 'output_bytes'])
        .where('requests.request_id', 'in', oldest)
        .where('state', '=', sql.lit('completed'))
        .orderBy('seq')
        .limit(ERASED_AT_ONCE)
        .$if(context.database.capabilities.rowLocks, (select) => select.forUpdate('requests').skipLocked())
        .execute()
      const ids = firstOf(rows, bytes - budgetBytes).map((row) => row.request_id)
      if (ids.length > 0) await erasePayloads(query, ids)
      return ids.length
    })
    if (erased === 0) return bytes
  }
}

/** The first rows whose bodies come to so many bytes. Files that others share are counted, so more may have to follow. */
function firstOf<T extends Pick<PayloadRow, 'input_bytes' | 'output_bytes'>>(rows: readonly T[], bytes: number): T[] {
  let sum = 0
  return rows.filter(({ input_bytes, output_bytes }) => {
    const isWanted = sum < bytes
    sum += (input_bytes ?? 0) + (output_bytes ?? 0)
    return isWanted
  })
}

/** Erases the bodies of requests, whose rows stay. */
export async function erasePayloads(query: Query, requestIds: readonly string[]): Promise<void> {
  await query
    .updateTable('payloads')
    .set({
      input: sql.lit('null'),
      input_bytes: null,
      input_pieces: 0,
      output: null,
      output_bytes: null,
      output_pieces: 0,
    })
    .where('request_id', 'in', requestIds)
    .execute()
  await dropPieces(query, requestIds)
}
