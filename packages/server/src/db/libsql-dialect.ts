import {
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely'
import type Libsql from 'libsql'

/** Takes the write lock at once: a transaction that reads first and writes later fails when another wrote between. */
class ImmediateDriver extends SqliteDriver {
  readonly #connection: Libsql.Database

  constructor(connection: Libsql.Database) {
    super({ database: guarded(connection) })
    this.#connection = connection
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  /** A full disk makes SQLite roll back by itself, and another rollback fails and hides why. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#connection.inTransaction) await super.rollbackTransaction(connection)
  }
}

/** Lets the migrator run all migrations in one transaction, which is then also its lock against other processes. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

/** SQLite through `libsql`, with transactions that are always `immediate`. */
export class LibsqlDialect implements Dialect {
  readonly #connection: Libsql.Database

  constructor(connection: Libsql.Database) {
    this.#connection = connection
  }

  createDriver(): Driver {
    return new ImmediateDriver(this.#connection)
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler()
  }

  createAdapter(): DialectAdapter {
    return new TransactionalAdapter()
  }

  // biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(db)
  }
}

/** Statements kept prepared per connection: preparing one takes SQLite about as long as running it. */
const KEPT_STATEMENTS = 100

/** libsql 0.5.29 aborts the whole process on a boolean parameter, so parameters are checked before it sees them. */
function guarded(connection: Libsql.Database): SqliteDatabase {
  const kept = new Map<string, SqliteStatement>()
  return {
    close() {
      kept.clear()
      connection.close()
    },
    prepare(source: string): SqliteStatement {
      const statement = kept.get(source) ?? guardedStatement(connection.prepare(source), source)
      // The last one used is the last one in the map.
      kept.delete(source)
      kept.set(source, statement)
      if (kept.size > KEPT_STATEMENTS) kept.delete(kept.keys().next().value ?? '')
      return statement
    },
  }
}

function guardedStatement(statement: Libsql.Statement, source: string): SqliteStatement {
  return {
    reader: statement.reader,
    all: (parameters) => statement.all(checked(parameters, source)),
    run: (parameters) => statement.run(checked(parameters, source)),
    iterate: (parameters) => statement.iterate(checked(parameters, source)),
  }
}

function checked(parameters: readonly unknown[], source: string): unknown[] {
  return parameters.map((value) => {
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
      return value
    if (value instanceof Uint8Array) return value
    throw new TypeError(
      `Expected string, number, bigint, bytes or null as a parameter, got ${typeof value}, in: ${source}`,
    )
  })
}
