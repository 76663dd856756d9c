/**
 * Checks that package-lock.json holds every platform's binaries. npm writes only the optional dependencies that the
 * registry at hand offers; a lock with a hole installs here and fails with EUSAGE on another platform or npm version.
 */
import { readFileSync } from 'node:fs'

interface LockEntry {
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly resolved?: string
}

/** Names of optional dependencies without an entry of their own, each with the package that wants it. */
export function missingOptionalDependencies(packages: Readonly<Record<string, LockEntry>>): string[] {
  const missing: string[] = []
  for (const [path, entry] of Object.entries(packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      if (!packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`])
        missing.push(`${name} (of ${path})`)
    }
  }
  return missing
}

/** Entries that name a registry: a lock must install from whichever registry its user has set. */
export function pinnedRegistries(packages: Readonly<Record<string, LockEntry>>): string[] {
  return Object.entries(packages)
    .filter(([, entry]) => entry.resolved?.startsWith('http'))
    .map(([path, entry]) => `${path}: ${entry.resolved}`)
}

if (process.argv[1]?.endsWith('check-lockfile.ts')) {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, LockEntry> }
  const problems = [
    ...missingOptionalDependencies(packages).map((name) => `package-lock.json lacks ${name}`),
    ...pinnedRegistries(packages).map((entry) => `package-lock.json names a registry: ${entry}`),
  ]
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exit(1)
  console.log('package-lock.json holds every platform')
}
