// PNG pictures: the pixels of an SVG, decoded again and looked at.
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { pngOf } from '../../../src/driver/charts/png.js'

test('a picture has twice the size of its SVG, and its colours where they are drawn', async () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10">' +
    '<rect width="20" height="10" fill="#ffffff"/><rect x="10" width="10" height="10" fill="#c1272d"/></svg>'
  const png = await pngOf(svg)
  expect([...png.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  expect([info.width, info.height, info.channels]).toEqual([40, 20, 3])
  const pixel = (x: number, y: number) => [...data.subarray((y * 40 + x) * 3, (y * 40 + x) * 3 + 3)]
  expect(pixel(5, 10)).toEqual([255, 255, 255])
  expect(pixel(35, 10)).toEqual([0xc1, 0x27, 0x2d])
  expect(await pngOf(svg)).toEqual(png)
})
