import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { type RealServer, startRealServer } from '../e2e/real-server.ts'
import { launchBrowser } from './chromium.ts'
import { openPage } from './open-page.ts'

export interface RealPlayground {
  readonly server: RealServer
  readonly browser: Browser
  /** A new one for each test; nothing may go wrong in it, and it may ask no other host for anything. */
  readonly page: Page
}

/**
 * For the tests around it: the whole server with the demo checkpoint, a Chromium, and a page of its own for each test.
 * @param environment the server's settings, from the folder that it lies in
 */
export function useRealPlayground(
  environment?: (folder: string) => Promise<Readonly<Record<string, string>>>,
): RealPlayground {
  let server: RealServer
  let browser: Browser
  let opened: Awaited<ReturnType<typeof openPage>>
  beforeAll(async () => {
    ;[server, browser] = await Promise.all([startRealServer(environment), launchBrowser()])
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await server?.stop()
  })
  beforeEach(async () => {
    opened = await openPage(browser, server.url)
  })
  afterEach(async () => {
    await opened.page.close()
    expect(opened.problems).toEqual([])
  })
  return {
    get server() {
      return server
    },
    get browser() {
      return browser
    },
    get page() {
      return opened.page
    },
  }
}
