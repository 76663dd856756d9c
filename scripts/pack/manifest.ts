/** What a package.json says of a package, as far as packing reads it. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly exports?: Readonly<Record<string, string>>
  readonly imports?: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly bin?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly [key: string]: unknown
}

/** Runs the sources of a clone; what is compiled needs it no more. */
const SOURCE_RUNNER = 'tsx'

/** The package.json of the compiled package: paths lead to `dist`, and what only the sources need is gone. */
export function publishedManifest(manifest: Manifest): Readonly<Record<string, unknown>> {
  const { devDependencies: _, exports, imports, dependencies = {}, ...rest } = manifest
  const { [SOURCE_RUNNER]: __, ...needed } = dependencies
  return {
    ...rest,
    ...(exports && {
      exports: Object.fromEntries(Object.entries(exports).map(([path, source]) => [path, compiledEntry(source)])),
    }),
    ...(imports && {
      imports: Object.fromEntries(
        Object.entries(imports).map(([name, conditions]) => [
          name,
          Object.fromEntries(Object.entries(conditions).map(([condition, source]) => [condition, compiled(source)])),
        ]),
      ),
    }),
    dependencies: needed,
    files: ['dist', 'bin', 'models', 'playground'],
  }
}

function compiledEntry(source: string): Record<string, string> {
  const target = compiled(source)
  return { types: target.replace(/\.js$/, '.d.ts'), default: target }
}

/** `./src/index.ts` → `./dist/index.js` */
function compiled(source: string): string {
  return source.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '.js')
}
