import { expect, it } from 'vitest'
import { addressOf, resolveLink } from './doc-links.ts'

const FILES = new Set(['README.md', 'guide/clients.md', 'decisions/README.md'])

it('gives pages addresses without their file names', () => {
  expect(['README.md', 'guide/clients.md', 'decisions/README.md'].map(addressOf)).toEqual([
    '/docs',
    '/docs/guide/clients',
    '/docs/decisions',
  ])
})

it('tells pages, places on them, files of the repository and the web apart', () => {
  const from = 'guide/models.md'
  expect(resolveLink('clients.md#curl', from, FILES)).toEqual({
    kind: 'page',
    path: '/docs/guide/clients',
    hash: 'curl',
  })
  expect(resolveLink('../decisions/README.md', from, FILES)).toEqual({
    kind: 'page',
    path: '/docs/decisions',
    hash: '',
  })
  expect(resolveLink('#licences', from, FILES)).toEqual({ kind: 'page', path: '/docs/guide/models', hash: 'licences' })
  expect(resolveLink('../../deploy/Dockerfile', from, FILES)).toEqual({ kind: 'file', path: 'deploy/Dockerfile' })
  expect(resolveLink('https://example.com/x', from, FILES)).toEqual({ kind: 'outside', url: 'https://example.com/x' })
})
