// What is said where an optional package is not installed.
import { expect, it } from 'vitest'
import { UserError } from '../../src/core/errors.js'
import { installHint, loadOptional, requirePackages } from '../../src/driver/optional.js'

/** As Node says it. */
const missing = (name: string) =>
  Object.assign(new Error(`Cannot find package '${name}' imported from /x/y.js`), { code: 'ERR_MODULE_NOT_FOUND' })

it('names the package and what needs it', async () => {
  const hint = 'image files need the package sharp, which is not installed: npm install sharp'
  expect(installHint(missing('sharp'))).toBe(hint)
  await expect(loadOptional(Promise.reject(missing('sharp')))).rejects.toThrow(new UserError(hint))
  expect(installHint(missing('@aws-sdk/client-s3'))).toMatch(/^a store in S3 needs the package @aws-sdk\/client-s3,/)
})

it('knows the words of Deno', () => {
  const error = Object.assign(new TypeError("Could not find package 'echarts' from referrer 'file:///x/y.js'."), {
    code: 'ERR_MODULE_NOT_FOUND',
  })
  expect(installHint(error)).toBe('charts need the package echarts, which is not installed: npm install echarts')
})

it('asks for all that a purpose needs at once', () => {
  const need = (...there: string[]) =>
    requirePackages('a report needs', ['echarts', 'sharp'], (name) => there.includes(name))
  expect(() => need()).toThrow(
    new UserError('a report needs the packages echarts and sharp, which are not installed: npm install echarts sharp'),
  )
  expect(() => need('echarts')).toThrow(
    new UserError('a report needs the package sharp, which is not installed: npm install sharp'),
  )
  expect(() => need('sharp', 'echarts')).not.toThrow()
})

it('finds packages of every kind', () => {
  // For import alone, for require as well, and none.
  expect(() => requirePackages('it needs', ['env-paths', 'echarts', 'sharp', 'bullmq', 'ioredis'])).not.toThrow()
  expect(() => requirePackages('it needs', ['rdm-onnx-no-such-package'])).toThrow(
    'it needs the package rdm-onnx-no-such-package, which is not installed: npm install rdm-onnx-no-such-package',
  )
})

it('leaves other errors as they are', async () => {
  const others = [missing('zod'), new Error("Cannot find package 'sharp' imported from /x/y.js"), 'nothing']
  for (const other of others) expect(installHint(other)).toBeUndefined()
  await expect(loadOptional(Promise.reject(others[0]))).rejects.toBe(others[0])
  // What is really not there fails as the test says that it does.
  const name = 'rdm-onnx-no-such-package'
  const error: unknown = await import(/* @vite-ignore */ name).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'ERR_MODULE_NOT_FOUND' })
})

it('every package that it knows is an optional peer, installed here', async () => {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } })
  for (const name of Object.keys(manifest.peerDependencies)) {
    expect(manifest.peerDependenciesMeta).toHaveProperty([name, 'optional'], true)
    expect(manifest.devDependencies).toHaveProperty([name])
    if (!name.startsWith('onnxruntime-web')) expect(installHint(missing(name))).toContain(`npm install ${name}`)
  }
})
