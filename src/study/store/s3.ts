// A store in S3 or in storage that speaks its protocol.

import {
  DeleteObjectsCommand,
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3'
import { UserError } from '../../core/errors.js'
import { isKey } from './keys.js'
import type { Store } from './store.js'

/** Most keys that one request removes. */
const mostRemoved = 1000
/** Milliseconds to wait for a connection, and for an answer once there is one, before the client tries again. */
const patience = { connectionTimeout: 5000, requestTimeout: 120_000 }

interface Place {
  readonly bucket: string
  /** Before each key: empty, or with a slash at its end. */
  readonly prefix: string
  readonly config: S3ClientConfig
}

/** @throws UserError when it is no s3://BUCKET/PREFIX?endpoint=URL&region=NAME */
function placeOf(name: string): Place {
  const fail = (reason: string): never => {
    throw new UserError(
      `the store ${name} ${reason}: write s3://BUCKET/PREFIX, after it ?endpoint=URL&region=NAME if need be`,
    )
  }
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(\/[^?]*)?(?:\?(.*))?$/.exec(name)
  if (!match) return fail('names no bucket')
  const [, bucket, path = '', query = ''] = match
  const parameters = new URLSearchParams(query)
  for (const key of parameters.keys())
    if (key !== 'endpoint' && key !== 'region') fail(`has a parameter '${key}' that means nothing`)
  const [endpoint, region] = [parameters.get('endpoint'), parameters.get('region')]
  if (endpoint !== null && !/^https?:\/\/./.test(endpoint))
    fail(`has an endpoint '${endpoint}' that is no http(s) address`)
  const prefix = path.replace(/^\/+|\/+$/g, '')
  return {
    bucket: bucket!,
    prefix: prefix === '' ? '' : `${prefix}/`,
    config: {
      ...(region === null ? {} : { region }),
      // Other storage than Amazon's seldom has a host name for each bucket, nor the newer checksums.
      ...(endpoint === null
        ? {}
        : {
            endpoint,
            region: region ?? 'us-east-1',
            forcePathStyle: true,
            requestChecksumCalculation: 'WHEN_REQUIRED',
            responseChecksumValidation: 'WHEN_REQUIRED',
          }),
    },
  }
}

/**
 * Credentials and, unless the name says one, the region are found where Amazon's tools look for them: environment, the files
 * in ~/.aws, the machine's role.
 * @throws UserError when the name is none of a store
 */
export function s3Store(name: string): Store {
  const { bucket: Bucket, prefix, config } = placeOf(name)
  // It tells that its later versions want another Node, which is no business of who trains with this one.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
  const client = new S3Client({ ...config, requestHandler: patience })
  return {
    name,
    address: (key) => `s3://${Bucket}/${prefix}${key}`,
    async read(key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: prefix + key }))
        return await Body?.transformToByteArray()
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined
        throw error
      }
    },
    async write(key, content) {
      await client.send(new PutObjectCommand({ Bucket, Key: prefix + key, Body: content }))
    },
    async list(below) {
      const keys: string[] = []
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: `${prefix}${below}/` }))
        for (const { Key } of Contents) {
          const key = Key?.slice(prefix.length)
          if (key !== undefined && isKey(key)) keys.push(key)
        }
      return keys.sort()
    },
    async remove(keys) {
      for (let i = 0; i < keys.length; i += mostRemoved) {
        const Objects = keys.slice(i, i + mostRemoved).map((key) => ({ Key: prefix + key }))
        const { Errors: [error] = [] } = await client.send(
          new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
        )
        if (error) throw new Error(`${error.Key} cannot be removed: ${error.Message}`)
      }
    },
  }
}
