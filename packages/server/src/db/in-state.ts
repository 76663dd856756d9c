import { type RawBuilder, type SqlBool, sql } from 'kysely'

/**
 * That the row a statement finds by its key is in a state.
 *
 * An expression, for which no partial index of that state is taken. PostgreSQL prefers one that was empty when the table was last
 * analyzed, and then reads all that wait by now to find one of them.
 */
export function inState(state: string): RawBuilder<SqlBool> {
  return sql<SqlBool>`state || '' = ${state}`
}
