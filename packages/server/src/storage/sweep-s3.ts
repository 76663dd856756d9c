import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  type S3Client,
} from '@aws-sdk/client-s3'
import { ABANDONED_UPLOAD_SECONDS } from './part-list.ts'
import { isNotFound, s3Failure } from './s3-failure.ts'
import { EXPIRY_FOLDER, isExpired, parseExpiryMarker, toObjectInfo } from './s3-metadata.ts'

export interface BucketFolder {
  readonly bucket: string
  readonly prefix: string
}

/** Removes expired objects, with the markers that name them, and multipart uploads abandoned for a day. */
export async function sweepBucket(client: S3Client, folder: BucketFolder, now: Date): Promise<void> {
  await sweepMarkers(client, folder, now)
  await sweepUploads(client, folder, now)
}

async function sweepMarkers(client: S3Client, { bucket, prefix }: BucketFolder, now: Date): Promise<void> {
  const pages = paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: `${prefix}${EXPIRY_FOLDER}` })
  for await (const page of pages) {
    for (const { Key: markerKey = '' } of page.Contents ?? []) {
      const marker = parseExpiryMarker(markerKey.slice(prefix.length))
      if (marker === undefined) continue
      if (marker.epochSeconds * 1000 > now.getTime()) return
      const object = { Bucket: bucket, Key: `${prefix}${marker.key}` }
      if (await isDue(client, object, now)) await client.send(new DeleteObjectCommand(object))
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: markerKey }))
    }
  }
}

/** An object that was put again since has another expiry, and another marker. */
async function isDue(client: S3Client, object: { Bucket: string; Key: string }, now: Date): Promise<boolean> {
  try {
    return isExpired(toObjectInfo(object.Key, await client.send(new HeadObjectCommand(object)), 0), now)
  } catch (error) {
    const failure = s3Failure(error, object.Bucket)
    if (isNotFound(failure)) return false
    throw failure
  }
}

async function sweepUploads(client: S3Client, { bucket, prefix }: BucketFolder, now: Date): Promise<void> {
  const oldest = now.getTime() - ABANDONED_UPLOAD_SECONDS * 1000
  const start = { Bucket: bucket, Prefix: prefix }
  let page = await client.send(new ListMultipartUploadsCommand(start))
  for (;;) {
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Initiated === undefined || Initiated.getTime() > oldest) continue
      await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }))
    }
    if (page.IsTruncated !== true) return
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page
    page = await client.send(new ListMultipartUploadsCommand({ ...start, KeyMarker, UploadIdMarker }))
  }
}
