import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { expect } from 'vitest'

/** A page with what went wrong in it: nothing may. */
export interface OpenPage {
  readonly page: Page
  /** Errors of scripts and of the content security policy, and requests to any other host. */
  readonly problems: string[]
}

type PageOptions = NonNullable<Parameters<Browser['newPage']>[0]>

export async function openPage(browser: Browser, url: string, options: PageOptions = {}): Promise<OpenPage> {
  const page = await browser.newPage({ baseURL: url, ...options })
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(`script: ${error.message}`))
  page.on('console', (message) => {
    // The browser itself reports each answer of 400 and above so.
    const isAnswer = message.text().startsWith('Failed to load resource: the server responded')
    if (message.type() === 'error' && !isAnswer) problems.push(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    const isOwn = request.url().startsWith(url) || /^(data|blob):/.test(request.url())
    if (!isOwn) problems.push(`request: ${request.url()}`)
  })
  return { page, problems }
}

interface AxeResult {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[]
}

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** Checks the page against WCAG 2.2 A and AA, and the rules of good practice that axe knows, in dark colours and in light ones. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(await readFile(AXE, 'utf8'))
  await page.emulateMedia({ colorScheme: 'dark' })
  expect(await violations(page, 'resultTypes: ["violations"]')).toEqual([])
  await page.emulateMedia({ colorScheme: 'light' })
  // Nothing but colours differs.
  expect(await violations(page, 'resultTypes: ["violations"], runOnly: ["color-contrast"]')).toEqual([])
}

async function violations(page: Page, options: string): Promise<readonly string[]> {
  const result = (await page.evaluate(`axe.run(document, { ${options} })`)) as AxeResult
  return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}
