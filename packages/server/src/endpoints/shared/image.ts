import { z } from 'zod'

/** A generated picture as the LCM endpoints return it. */
export const fastImage = z
  .object({
    url: z.string().meta({ title: 'Url', description: 'URL of the image file, or a data URI in sync mode.' }),
    width: z.int().meta({ title: 'Width', description: 'Width in pixels.', examples: [1024] }),
    height: z.int().meta({ title: 'Height', description: 'Height in pixels.', examples: [1024] }),
    content_type: z
      .string()
      .default('image/jpeg')
      .meta({
        title: 'Content Type',
        description: 'MIME type of the file.',
        examples: ['image/png'],
      }),
    content: z.instanceof(Uint8Array).optional().meta({
      title: 'Content',
      description: 'The encoded picture itself, in place of the URL, inside a realtime frame.',
      type: 'string',
      format: 'binary',
      hidden: true,
    }),
  })
  .meta({ id: 'Image', title: 'Image', description: 'An image file.' })

/** A stored file as newer endpoints return it. */
const fileShape = {
  url: z.string().meta({ title: 'Url', description: 'The URL where the file can be downloaded from.' }),
  content_type: z
    .string()
    .nullish()
    .meta({ title: 'Content Type', description: 'The MIME type of the file.', examples: ['image/png'] }),
  file_name: z
    .string()
    .nullish()
    .meta({
      title: 'File Name',
      description: 'The name of the file; generated when none was given.',
      examples: ['z9RV14K95DvU.png'],
    }),
  file_size: z
    .int()
    .nullish()
    .meta({ title: 'File Size', description: 'The size of the file in bytes.', examples: [4_404_019] }),
}

export const file = z.object(fileShape).meta({ id: 'File', title: 'File', description: 'A file.' })

/** A stored file with the picture's size. */
export const image = z
  .object({
    ...fileShape,
    width: z
      .int()
      .nullish()
      .meta({ title: 'Width', description: 'Width in pixels.', examples: [1024] }),
    height: z
      .int()
      .nullish()
      .meta({ title: 'Height', description: 'Height in pixels.', examples: [1024] }),
  })
  .meta({ id: 'Image', title: 'Image', description: 'Represents an image file.' })
