import type { PGlite } from '@electric-sql/pglite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely'
import { WriteLock } from '../../src/db/write-lock.ts'

/** PGlite under Kysely 0.28, which has no dialect for it: one connection, used by one at a time. */
export function pgliteDialect(pglite: PGlite): Dialect {
  return {
    createDriver: () => new PgliteDriver(pglite),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new PostgresAdapter(),
    // biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature
    createIntrospector: (query: Kysely<any>) => new PostgresIntrospector(query),
  }
}

class PgliteDriver implements Driver {
  readonly #connection: DatabaseConnection
  readonly #lock = new WriteLock()
  readonly #releases: (() => void)[] = []

  constructor(pglite: PGlite) {
    this.#connection = {
      async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
        const { rows, affectedRows } = await pglite.query<R>(sql, [...parameters])
        return { rows, numAffectedRows: BigInt(affectedRows ?? 0) }
      },
      streamQuery() {
        throw new Error('Streaming is not used here.')
      },
    }
  }

  async init(): Promise<void> {}

  acquireConnection(): Promise<DatabaseConnection> {
    return new Promise((resolve) => {
      void this.#lock.run(
        () =>
          new Promise<void>((release) => {
            this.#releases.push(release)
            resolve(this.#connection)
          }),
      )
    })
  }

  async releaseConnection(): Promise<void> {
    this.#releases.shift()?.()
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'))
  }

  async destroy(): Promise<void> {}
}
