// A picture as pixels, for readers that take no SVG.
import sharp from 'sharp'

/** Pixels of the PNG for each of the SVG: as sharp on paper as on a screen. */
const density = 2

/** The bytes of a PNG file, at twice the size of the SVG. */
export const pngOf = async (svg: string): Promise<Uint8Array> =>
  sharp(Buffer.from(svg), { density: 72 * density })
    .png({ compressionLevel: 9 })
    .toBuffer()
