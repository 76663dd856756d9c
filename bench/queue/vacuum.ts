import pg from 'pg'

/**
 * What PostgreSQL's autovacuum does within a minute: clears away dead rows and counts the live ones. Without it a queue that was
 * just emptied is measured as the graveyard of the requests deleted a moment before.
 */
export async function vacuum(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query('vacuum (analyze)')
  } finally {
    await client.end()
  }
}
