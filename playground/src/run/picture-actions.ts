import { seedOf } from '../api/pictures.ts'
import type { FinishedRun } from './run-state.ts'

/** `fast-lcm-diffusion-42-1.png` */
export function fileNameOf({ endpointId, output, pictures }: FinishedRun, index: number): string {
  const type = pictures[index]?.contentType ?? 'image/jpeg'
  const extension = type === 'image/png' ? 'png' : type === 'image/webp' ? 'webp' : 'jpg'
  const name = endpointId.split('/').slice(1).join('-')
  return `${name}-${seedOf(output) ?? 'picture'}${pictures.length > 1 ? `-${index + 1}` : ''}.${extension}`
}

/** Puts a picture on the clipboard; browsers take PNG there and nothing else. */
export async function copyPicture(url: string): Promise<void> {
  const png = fetchPicture(url).then(async (blob) => (blob.type === 'image/png' ? blob : toPng(blob)))
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })])
}

async function fetchPicture(url: string): Promise<Blob> {
  return (await fetch(url)).blob()
}

async function toPng(blob: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(blob)
  const canvas = document.createElement('canvas')
  canvas.width = bitmap.width
  canvas.height = bitmap.height
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0)
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (png) => (png === null ? reject(new Error('The picture could not be copied')) : resolve(png)),
      'image/png',
    )
  })
}
