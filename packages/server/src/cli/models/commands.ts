import { type Command, Option } from 'commander'
import { type Config, readConfig } from '../../config/config.ts'
import { WEIGHTS_KINDS } from '../../models/weights-kind.ts'
import { pullModels } from './pull.ts'
import { collectGarbage, listModels, removeModels, showModel } from './stored-models.ts'

const DATA = ['--data <folder>', "the server's data folder (default ~/.darkroom)"] as const

/**
 * The commands that fetch, list and remove models.
 * @param withInterrupt runs work that Ctrl-C ends
 */
export function addModelCommands(
  darkroom: Command,
  withInterrupt: (work: (signal: AbortSignal) => Promise<void>) => Promise<void>,
): void {
  darkroom
    .command('pull')
    .description('fetch models, or all that an endpoint draws with')
    .argument('<id...>', 'owner/name[@revision][/file], an https URL, or an endpoint: fal-ai/fast-lcm-diffusion')
    .option('--variant <name>', 'precision variant of the weight files, e.g. fp16')
    .addOption(new Option('--kind <kind>', 'what it is for, where its files do not tell').choices(WEIGHTS_KINDS))
    .option('--dry-run', 'only list files and sizes', false)
    .option('--all', 'of endpoints: also what their default input does not need', false)
    .option('--yes', 'agree to size and licences', false)
    .option(...DATA)
    .action((references, options) =>
      withInterrupt((signal) => pullModels(configOf(options), { ...options, references }, signal)),
    )
  darkroom
    .command('list')
    .description('list the models on this machine')
    .option('--all', 'also those that are not drawn with', false)
    .option(...DATA)
    .action((options) => listModels(configOf(options), options.all))
  darkroom
    .command('show')
    .description('show the files, size and licence of a model')
    .argument('<id>')
    .option(...DATA)
    .action((id, options) => showModel(configOf(options), id))
  darkroom
    .command('inspect')
    .description('tell what a file of weights is, and which of a LoRA’s keys a base model would use')
    .argument('<file>', 'a path, or a model on this machine: owner/name[/file]')
    .option('--base <id>', 'a base model: a folder, a file or an id')
    .option(...DATA)
    .action(async (reference, options) =>
      // Loads the engine, which the others here do not need.
      (await import('../inspect.ts')).inspect(configOf(options), reference, options.base),
    )
  darkroom
    .command('rm')
    .description('remove models that were fetched')
    .argument('<id...>')
    .option(...DATA)
    .action((ids, options) => removeModels(configOf(options), ids))
  darkroom
    .command('gc')
    .description('remove unfinished downloads, and what requests had fetched beyond the budget')
    .option('--all', 'everything that requests had fetched', false)
    .option(...DATA)
    .action((options) => collectGarbage(configOf(options), options.all))
}

function configOf({ data }: { readonly data?: string }): Config {
  return readConfig(data === undefined ? {} : { dataFolder: data })
}
