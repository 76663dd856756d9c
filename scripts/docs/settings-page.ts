/** Writes the tables of docs/guide/settings.md: `npx tsx scripts/docs/settings-page.ts`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../../packages/server/src/config/config.ts'
import { settingTables } from '../../packages/server/src/config/settings.ts'
import { REPOSITORY } from './markdown.ts'

export const SETTINGS_PAGE = 'docs/guide/settings.md'

const INTRODUCTION = `# Settings

Variables of the environment, read once at start; an option of the command line wins over its variable. Flags are \`1\` or \`0\` (\`true\` and
\`false\` do as well), sizes are numbers of bytes. A name that is misspelt is told at the start.
`

/** The page as the settings are. */
export function settingsPage(): string {
  return `${INTRODUCTION}\n${settingTables(readConfig({}, {}))}\n`
}

if (process.argv[1]?.endsWith('settings-page.ts')) writeFileSync(join(REPOSITORY, SETTINGS_PAGE), settingsPage())
