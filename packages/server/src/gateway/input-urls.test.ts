import { expect, it } from 'vitest'
import { fastLcmDiffusionImageToImage } from '../endpoints/fal-ai/fast-lcm-diffusion/schema.ts'
import { lcmSd15ImageToImage } from '../endpoints/fal-ai/lcm/schema.ts'
import { refuseUnfetchablePictures } from './input-urls.ts'

it.each([
  'file:///etc/passwd',
  'gopher://example.com/',
  'ftp://example.com/a.png',
  'no url',
  'http://u:p@example.com/',
])('refuses %s', async (image_url) => {
  await expect(refuseUnfetchablePictures(fastLcmDiffusionImageToImage, { image_url })).rejects.toMatchObject({
    status: 422,
    detail: [{ loc: ['body', 'image_url'], type: 'file_download_error', input: image_url }],
    headers: { 'x-fal-billable-units': '0' },
  })
})

const OWN_FILE = `/files/ab/${'0'.repeat(30)}_a.png`

it.each([
  'data:image/png;base64,AA==',
  'http://127.0.0.1/a.png',
  `https://nowhere.invalid/cdn${OWN_FILE}`,
  '',
  undefined,
])('leaves %s to the runner', (image_url) => refuseUnfetchablePictures(fastLcmDiffusionImageToImage, { image_url }))

it('says nothing of a field that is not used', () =>
  refuseUnfetchablePictures(lcmSd15ImageToImage, { image_url: 'data:,', mask_url: 'file:///mask.png' }))
