import { expect, it } from 'vitest'
import { publishedManifest } from './manifest.ts'

it('leads to what is compiled, and drops what only sources need', () => {
  const published = publishedManifest({
    name: '@darkroom/x',
    version: '1.0.0',
    exports: { '.': './src/index.ts' },
    imports: { '#socket': { node: './src/socket.node.ts', default: './src/socket.ts' } },
    bin: { x: './bin/x.js' },
    dependencies: { tsx: '4', ws: '8' },
    devDependencies: { vitest: '4' },
  })
  expect(published).toEqual({
    name: '@darkroom/x',
    version: '1.0.0',
    exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
    imports: { '#socket': { node: './dist/socket.node.js', default: './dist/socket.js' } },
    bin: { x: './bin/x.js' },
    dependencies: { ws: '8' },
    files: ['dist', 'bin', 'models', 'playground'],
  })
})
