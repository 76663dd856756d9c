import { describe, expect, it } from 'vitest'
import type { WireError } from '../errors/errors.ts'
import { mayBeImage, type OwnFile, readInputFile, refuseUnfetchable } from './input-file.ts'
import { OutboundHttp } from './outbound-http.ts'

const LIMITS = { field: ['loras', 0, 'path'], maxBytes: 20, timeoutSeconds: 5, accepts: mayBeImage }

async function read(url: string, own?: OwnFile): Promise<string> {
  const outbound = new OutboundHttp({ allowPrivateTargets: false })
  try {
    return String(
      await readInputFile({ outbound, inTurn: (_, fetch) => fetch(), readOwnFile: async () => own }, url, LIMITS),
    )
  } finally {
    await outbound.close()
  }
}

async function itemOf(url: string, own?: OwnFile) {
  const error = await read(url, own).then(
    () => undefined,
    (reason: WireError) => reason,
  )
  expect([error?.status, error?.headers]).toEqual([422, { 'x-fal-billable-units': '0' }])
  const [item] = typeof error?.detail === 'string' ? [] : (error?.detail ?? [])
  return item
}

describe('readInputFile', () => {
  it('reads files of this server and data URIs', async () => {
    expect(await read('http://any/files/x', Buffer.from('own'))).toBe('own')
    expect(await read('data:image/png;base64,aGVsbG8=')).toBe('hello')
  })

  it('names field, type, address of the docs and input in its errors', async () => {
    expect(await itemOf('http://127.0.0.1:1/secret')).toEqual({
      loc: ['body', 'loras', 0, 'path'],
      msg: expect.stringMatching(
        /^Failed to download the file\. Please check if the URL is accessible and try again\. \(.*\)$/,
      ),
      type: 'file_download_error',
      url: 'https://docs.fal.ai/errors#file_download_error',
      input: 'http://127.0.0.1:1/secret',
    })
    expect(await itemOf(`data:image/png,${'a'.repeat(21)}`)).toMatchObject({
      type: 'file_too_large',
      ctx: { max_size: 20 },
    })
    expect(await itemOf('data:text/html,<html>')).toMatchObject({ type: 'image_load_error' })
    expect(await itemOf('nonsense')).toMatchObject({ type: 'file_download_error', input: 'nonsense' })
  })

  it('does not tell what a name resolves to', async () => {
    // The same sentence whatever the name leads to, with the setting that the operator may not know.
    expect((await itemOf('http://localhost:1/'))?.msg).toContain('DARKROOM_ALLOW_PRIVATE_TARGETS=1')
    expect((await itemOf('http://localhost:1/'))?.msg).not.toMatch(/loopback|127/)
    expect((await itemOf('http://169.254.169.254/'))?.msg).toBe((await itemOf('http://localhost:1/'))?.msg)
  })

  it('reports files of this server that cannot be read', async () => {
    expect(await itemOf('http://any/x', { refusal: 'missing' })).toMatchObject({ type: 'file_download_error' })
    expect(await itemOf('http://any/x', { refusal: 'forbidden' })).toMatchObject({ type: 'file_download_error' })
    expect(await itemOf('http://any/x', { refusal: 'too_large' })).toMatchObject({ type: 'file_too_large' })
  })

  it('does not send a large input back', async () => {
    const item = await itemOf(`data:text/html,${'a'.repeat(10_000)}`)
    expect(String(item?.input).length).toBeLessThan(200)
  })
})

it('refuses a host that has no address at once, and leaves a resolver that is away to whoever fetches', async () => {
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }))
  const url = 'https://nowhere.invalid/a.png'
  await expect(refuseUnfetchable(url, ['image_url'], failing('ENOTFOUND'))).rejects.toMatchObject({
    status: 422,
    detail: [{ msg: expect.stringContaining('(there is no such host, ENOTFOUND)'), type: 'file_download_error' }],
  })
  await refuseUnfetchable(url, ['image_url'], failing('EAI_AGAIN'))
})
