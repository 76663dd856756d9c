import { buffer } from 'node:stream/consumers'
import { sendFollowing } from '../models/following-request.ts'
import type { OutboundHttp } from '../security/outbound-http.ts'
import { AccelerationError } from './acceleration-error.ts'
import type { LibraryPackage } from './openvino-package.ts'

const SECONDS = 60
const JSON_TYPE = 'application/vnd.pypi.simple.v1+json'

/**
 * Where a Python package index (PEP 503 and 691; the public one, or a mirror) has a file.
 * @param index URL of the index, its user name and password included where it wants them
 * @throws AccelerationError when it has no such file or does not answer
 */
export async function locateInIndex(
  http: OutboundHttp,
  index: string,
  { project, fileName }: LibraryPackage,
  signal: AbortSignal,
): Promise<{ readonly url: URL; readonly authorization?: string }> {
  const { page, authorization } = projectPage(index, project)
  const asked = {
    url: page,
    method: 'GET',
    headers: { accept: `${JSON_TYPE}, text/html;q=0.1` },
    timeoutSeconds: SECONDS,
    signal,
    ...(authorization !== undefined && { authorization }),
  } as const
  try {
    return await sendFollowing(http, asked, async ({ status, headers, body }, from) => {
      if (status !== 200)
        throw new AccelerationError(`The package index at ${page.host} answered ${status} for ${project}.`)
      const text = (await buffer(body)).toString('utf8')
      const link = (headers['content-type'] ?? '').includes('json')
        ? fileInJson(text, fileName)
        : fileInHtml(text, fileName)
      if (link === undefined)
        throw new AccelerationError(`The package index at ${page.host} does not have ${fileName}.`)
      const url = new URL(link, from)
      return { url, ...(authorization !== undefined && url.origin === page.origin && { authorization }) }
    })
  } catch (error) {
    if (signal.aborted || error instanceof AccelerationError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new AccelerationError(
      `The package index at ${page.host} could not be asked (${reason}); fetch ${fileName} elsewhere and use --from.`,
      { cause: error },
    )
  }
}

function projectPage(index: string, project: string): { readonly page: URL; readonly authorization?: string } {
  const page = new URL(`${index.replace(/\/+$/, '')}/${project}/`)
  const { username, password } = page
  page.username = ''
  page.password = ''
  if (username === '' && password === '') return { page }
  const credentials = [username, password].map(decodeURIComponent).join(':')
  return { page, authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
}

function fileInJson(text: string, fileName: string): string | undefined {
  const { files } = JSON.parse(text) as { files?: readonly { filename?: unknown; url?: unknown }[] }
  const file = files?.find(({ filename }) => filename === fileName)
  return typeof file?.url === 'string' ? file.url : undefined
}

function fileInHtml(text: string, fileName: string): string | undefined {
  for (const [, link = '', name = ''] of text.matchAll(/<a\b[^>]*\bhref="([^"]+)"[^>]*>([^<]*)<\/a>/gi)) {
    if (name.trim() === fileName) return link.replaceAll('&amp;', '&')
  }
  return undefined
}
