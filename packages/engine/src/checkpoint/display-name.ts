import { basename } from 'node:path'

/**
 * What messages call a model's folder or file: `owner/name` for a snapshot in a hub's cache, otherwise its own name. Clients read
 * messages, so where on this machine it lies stays out of them.
 */
export function displayName(path: string): string {
  const [, repository, inside] = /models--([^/\\]+)[/\\]snapshots[/\\][^/\\]+(?:[/\\](.+))?$/.exec(path) ?? []
  if (repository === undefined) return basename(path)
  const name = repository.replace('--', '/')
  return inside === undefined ? name : `${name}/${inside.replaceAll('\\', '/')}`
}
