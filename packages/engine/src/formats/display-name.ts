import { basename, dirname } from 'node:path'

/** What files are called in every component of every model: which one it is, its folder says. */
const NAME_OF_MANY = /^(diffusion_pytorch_model|pytorch_model|model)\.|^\w*config\.json$/

/**
 * What messages call a model's folder or file: `owner/name` for a snapshot in a hub's cache, otherwise its own name, with its folder's where
 * that alone tells it from others. Clients read messages, so where on this machine it lies stays out of them.
 */
export function displayName(path: string): string {
  const [, repository, inside] = /models--([^/\\]+)[/\\]snapshots[/\\][^/\\]+(?:[/\\](.+))?$/.exec(path) ?? []
  if (repository === undefined) {
    const name = basename(path)
    return NAME_OF_MANY.test(name) ? `${basename(dirname(path))}/${name}` : name
  }
  const name = repository.replace('--', '/')
  return inside === undefined ? name : `${name}/${inside.replaceAll('\\', '/')}`
}
