import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { displayName } from '../formats/display-name.ts'
import { CheckpointError } from './checkpoint-error.ts'
import { isMissing, readJsonObject } from './json-file.ts'

/** Names of weight files, the preferred form first: diffusers' and transformers' own. */
const FORMS = [
  { extension: '.safetensors', bases: ['diffusion_pytorch_model', 'model'] },
  { extension: '.bin', bases: ['diffusion_pytorch_model', 'pytorch_model'] },
] as const

/** Variants to take where nothing else is there, in this order; then any other. */
const KNOWN_VARIANTS = ['fp16', 'bf16']

/**
 * The paths of a component's weight files, whole or sharded: safetensors before pickles; of those the asked variant, the plain files,
 * then whatever variant is there.
 * @param source what messages call the checkpoint
 * @throws CheckpointError when there are none
 */
export async function findWeightFiles(
  name: string,
  folder: string,
  variant: string | undefined,
  source: string,
): Promise<string[]> {
  const names = new Set(await listFolder(name, folder, source))
  for (const { extension, bases } of FORMS) {
    for (const suffix of suffixes(names, variant)) {
      for (const base of bases) {
        const single = `${base}${suffix}${extension}`
        if (names.has(single)) return [join(folder, single)]
        const index = `${base}${extension}.index${suffix}.json`
        if (names.has(index)) return readShardIndex(join(folder, index), folder)
      }
    }
  }
  const known = FORMS.flatMap(({ extension, bases }) => bases.map((base) => `${base}${extension}`))
  throw new CheckpointError(
    `${source} has no weights for ${name} (looked for ${known.join(', ')}); the download is incomplete`,
    { path: folder },
  )
}

/** `.fp16` and the like, and '' for no variant. */
function suffixes(names: ReadonlySet<string>, asked: string | undefined): string[] {
  const found = [...names].flatMap((file) => {
    const whole = /^(?:diffusion_pytorch_model|(?:pytorch_)?model)\.([^.]+)\.(?:safetensors|bin)$/.exec(file)
    return whole?.[1] ?? /\.(?:safetensors|bin)\.index\.([^.]+)\.json$/.exec(file)?.[1] ?? []
  })
  // A shard's number stands where a variant does.
  const variants = [...new Set(found)].filter((variant) => !/-\d+-of-\d+$/.test(variant)).sort()
  const rest = [...KNOWN_VARIANTS.filter((known) => variants.includes(known)), ...variants]
  const wanted = asked === undefined ? [] : [`.${asked}`]
  return [...new Set([...wanted, '', ...rest.map((variant) => `.${variant}`)])]
}

async function listFolder(name: string, folder: string, source: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
    const problem = `${source} has no folder for ${name}; the download is incomplete`
    throw new CheckpointError(problem, { cause, path: folder })
  }
}

async function readShardIndex(indexPath: string, folder: string): Promise<string[]> {
  const fail = (problem: string) => new CheckpointError(`${displayName(indexPath)}: ${problem}`, { path: indexPath })
  const map = (await readJsonObject(indexPath))?.weight_map
  if (typeof map !== 'object' || map === null) throw fail('weight_map must map keys to files')
  const shards = [...new Set<unknown>(Object.values(map))]
  return shards.map((shard) => {
    if (typeof shard !== 'string' || shard !== basename(shard) || !/\.(safetensors|bin)$/.test(shard)) {
      throw fail(`${JSON.stringify(shard)} is no weight file of this folder`)
    }
    return join(folder, shard)
  })
}
