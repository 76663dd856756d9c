import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

/** A Chromium of this machine: Debian's, or the one that the environment names. */
export const CHROMIUM: string | undefined =
  process.env.DARKROOM_TEST_CHROMIUM ??
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path))

/** Without what makes a browser call its maker's hosts, or wait for a graphics card. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
]

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ args: ARGUMENTS, ...(CHROMIUM !== undefined && { executablePath: CHROMIUM }) })
}
