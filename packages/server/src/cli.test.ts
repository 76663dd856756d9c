import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, it, vi } from 'vitest'
import { main } from './cli.ts'

/** Static imports of values: what a module loads before it runs. */
const STATIC = /(?:^|\n)(?:import|export)\s+(?!type\b)(?:[^'"`;()]*?\sfrom\s+)?['"]([^'"]+)['"]/g

/** Packages that loading a module of this package loads. */
function packagesLoadedBy(file: string, seen = new Set<string>()): Set<string> {
  const packages = new Set<string>()
  if (seen.has(file) || !existsSync(file)) return packages
  seen.add(file)
  for (const [, specifier = ''] of readFileSync(file, 'utf8').matchAll(STATIC)) {
    if (!specifier.startsWith('.')) packages.add(specifier)
    else for (const name of packagesLoadedBy(normalize(join(dirname(file), specifier)), seen)) packages.add(name)
  }
  return packages
}

it('loads no engine for help, keys and a gateway', () => {
  const own = (file: string) => [...packagesLoadedBy(join(import.meta.dirname, file))]
  expect(own('cli/generate.ts')).toContain('@darkroom/engine')
  for (const file of ['cli.ts', 'cli/keys.ts', 'cli/gateway.ts']) {
    expect(own(file), file).not.toContain('@darkroom/engine')
  }
})

it('says below an error which help lists what could have been typed', async () => {
  let written = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written += text
    return true
  })
  vi.spyOn(process, 'exit').mockImplementation(() => {
    throw new Error('the end')
  })
  const complaint = async (...args: string[]) => {
    written = ''
    await main(['node', 'darkroom', ...args])
    process.exitCode = undefined
    return written
  }
  vi.spyOn(console, 'error').mockImplementation(() => {})
  expect(await complaint('serve', '--prot', '1')).toMatch(/--port\?\)\n\(darkroom serve --help lists the options\)/)
  expect(await complaint('keys', 'make')).toContain('(darkroom keys --help lists the commands)')
  expect(await complaint('mke')).toContain('(darkroom --help lists the commands)')
  vi.restoreAllMocks()
})
