import { describe, expect, it } from 'vitest'
import { labelOf, movedTo, parseReference } from './reference.ts'

const HUB = 'https://huggingface.co'
const parse = (text: string, endpoint = HUB) => parseReference(text, endpoint)

describe('hub references', () => {
  it.each([
    ['owner/name', { repository: 'owner/name' }],
    [' owner/name ', { repository: 'owner/name' }],
    ['owner/name@fp16', { repository: 'owner/name', revision: 'fp16' }],
    ['owner/name@main', { repository: 'owner/name' }],
    ['owner/name@refs/pr/4/unet', { repository: 'owner/name', revision: 'refs/pr/4', path: 'unet' }],
    ['owner/name/a/b.safetensors', { repository: 'owner/name', path: 'a/b.safetensors' }],
    ['owner/name@v1/b.safetensors', { repository: 'owner/name', revision: 'v1', path: 'b.safetensors' }],
    ['hf://owner/name/b.bin', { repository: 'owner/name', path: 'b.bin' }],
    ['https://huggingface.co/owner/name', { repository: 'owner/name' }],
    ['https://hf.co/owner/name/', { repository: 'owner/name' }],
    [
      'https://huggingface.co/o/n/resolve/main/a%20b.safetensors?download=true',
      { repository: 'o/n', path: 'a b.safetensors' },
    ],
    ['https://huggingface.co/o/n/blob/abc/x/y.pt#L3', { repository: 'o/n', revision: 'abc', path: 'x/y.pt' }],
    ['https://huggingface.co/o/n/tree/main/unet', { repository: 'o/n', path: 'unet' }],
    [
      'https://huggingface.co/o/n/resolve/refs%2Fpr%2F1/x.bin',
      { repository: 'o/n', revision: 'refs/pr/1', path: 'x.bin' },
    ],
    ['https://huggingface.co/o/n/tree/refs/pr/1', { repository: 'o/n', revision: 'refs/pr/1' }],
  ])('%s', (text, expected) => {
    expect(parse(text)).toEqual({ type: 'hub', ...expected })
  })

  it('knows pages of the mirror in use', () => {
    expect(parse('http://mirror:8080/o/n/resolve/main/x.bin', 'http://mirror:8080')).toMatchObject({
      type: 'hub',
      path: 'x.bin',
    })
    expect(parse('http://mirror:8080/o/n/resolve/main/x.bin')).toMatchObject({ type: 'url' })
  })

  it.each([
    'https://huggingface.co/datasets/o/n/resolve/main/x.safetensors',
    'https://huggingface.co/api/models/o/n',
    'https://huggingface.co/o/n/discussions/3',
  ])('%s stays a plain URL', (text) => {
    expect(parse(text)).toMatchObject({ type: 'url' })
  })

  it.each([
    'owner/name/../../x',
    'owner/name/a/./b',
    'owner/name/a//b',
    'owner/name/a\\b',
    'owner/name@',
    'owner/name@../x',
    'https://huggingface.co/o/n/resolve/..%2f..%2fx/y',
    'https://huggingface.co/o/n/resolve/main/a%00b',
    'https://huggingface.co/o/n/resolve/main/%zz',
    'hf://owner',
    '',
    '  ',
    'ftp://host/x',
    'file:///etc/passwd',
    'https://user:secret@host/x',
  ])('%j is none', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ reason: 'invalid-reference' }))
  })

  it('does not repeat the password of a URL it refuses', () => {
    expect(() => parse('https://user:secret@host/x')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secret') }),
    )
  })
})

describe('Civitai', () => {
  it.each([
    ['https://civitai.com/api/download/models/9208', { versionId: '9208' }],
    [
      'https://civitai.com/api/download/models/9208?type=Model&format=SafeTensor&token=abc',
      { versionId: '9208', query: 'type=Model&format=SafeTensor' },
    ],
    ['https://civitai.com/models/7808/easynegative', { modelId: '7808' }],
    ['http://civitai.com/models/7808', { modelId: '7808' }],
    ['https://civitai.com/models/7808?modelVersionId=9208', { modelId: '7808', versionId: '9208' }],
  ])('%s', (text, expected) => {
    expect(parse(text)).toEqual({ type: 'civitai', origin: 'https://civitai.com', ...expected })
  })

  it('leaves its other pages as URLs', () => {
    expect(parse('https://civitai.com/images/3')).toMatchObject({ type: 'url' })
  })
})

describe('everything else', () => {
  it.each([
    ['https://example.com/x.safetensors?sig=1', 'url'],
    ['data:application/octet-stream;base64,AAAA', 'data'],
    ['/srv/x.safetensors', 'path'],
    ['./x', 'path'],
    ['../x', 'path'],
    ['~/x', 'path'],
    ['C:\\x', 'path'],
    ['my-lora.safetensors', 'path'],
    ['loras/', 'path'],
  ])('%s is a %s', (text, type) => {
    expect(parse(text).type).toBe(type)
  })

  it('keeps tokens and data out of labels', () => {
    expect(labelOf(parse('https://example.com/x.safetensors?token=secret'))).toBe('https://example.com/x.safetensors')
    expect(labelOf(parse('data:,x'))).toBe('the data: URI')
    expect(labelOf(parse('owner/name@v1/x.bin'))).toBe('owner/name@v1/x.bin')
  })

  it('knows what moved', () => {
    expect(movedTo('runwayml/stable-diffusion-v1-5')).toBe('stable-diffusion-v1-5/stable-diffusion-v1-5')
    expect(movedTo('owner/name')).toBe('owner/name')
  })
})
