import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const BIN = fileURLToPath(new URL('../../bin/darkroom.js', import.meta.url))

// As `npx darkroom` and `npm start` start it: a shell between, which passes no signal on and ends.
it('stops in order when the shell that npm started it in is ended', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'darkroom-npm-'))
  const shell = spawn(
    'sh',
    ['-c', '"$0" "$@"; true', process.execPath, BIN, 'gateway', '--port', '0', '--data', folder],
    {
      env: { PATH: process.env.PATH, npm_lifecycle_event: 'npx' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let output = ''
  shell.stdout.on('data', (chunk) => {
    output += chunk
  })
  while (!output.includes('gateway answers at')) await once(shell.stdout, 'data')
  shell.kill('SIGTERM')
  // The pipe is closed when the server, which is no longer the shell's, has ended too.
  await once(shell, 'close')
  expect(output).toContain('Stopping: ')
  await rm(folder, { recursive: true, force: true })
})
