import type { Page } from 'playwright-core'

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** Keeps the page's requests from the server until the function that it returns is called. */
export async function holdRequests(page: Page, url: RegExp): Promise<() => void> {
  const { opened, open } = gate()
  await page.route(url, async (route) => {
    await opened
    await route.continue()
  })
  return open
}

export interface HeldAnswer {
  /** The server has answered. */
  readonly isThere: Promise<void>
  /** Gives the page the answer. */
  readonly letGo: () => void
}

/** Keeps the server's answer to the first such request from the page; what is asked later is not touched. */
export async function holdAnswer(page: Page, url: RegExp): Promise<HeldAnswer> {
  const { opened, open } = gate()
  const { opened: isThere, open: arrive } = gate()
  await page.route(
    url,
    async (route) => {
      const response = await route.fetch()
      arrive()
      await opened
      await route.fulfill({ response })
    },
    { times: 1 },
  )
  return { isThere, letGo: open }
}
