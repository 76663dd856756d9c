import { type Config, ConfigError } from '../config/config.ts'
import { type Recipes, readRecipes } from '../drawing/recipes.ts'

/**
 * What the endpoints draw with. Processes that start runners read it first, or each of their runners would die of a mistake in it.
 * @throws ConfigError naming the file, and the field
 */
export async function configuredRecipes({ recipesFile }: Pick<Config, 'recipesFile'>): Promise<Recipes> {
  try {
    return await readRecipes(recipesFile)
  } catch (error) {
    throw error instanceof Error ? new ConfigError(error.message, { cause: error }) : error
  }
}
