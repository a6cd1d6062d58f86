// What the headers of image files say: their size, before there is memory for their pixels. JPEG, PNG and WebP.

/** Height and width as the image is looked at, turned as its camera says; how many pictures there are. */
export interface ImageHeader {
  readonly height: number
  readonly width: number
  readonly pictures: number
}

/** Most parts of a file that are walked through. */
const maxParts = 10_000
const windowSize = 2 ** 16

/** Bytes of a file from any place, some of which are at hand. */
class FileWindow {
  #begin = 0
  #view = new DataView(new ArrayBuffer(0))

  constructor(private readonly file: Blob) {}

  /** So many bytes, up to a window's, from here on. Throws an Error where the file ends before. */
  async at(begin: number, length: number): Promise<DataView> {
    if (begin + length > this.file.size) throw new Error('it ends within its header')
    if (begin < this.#begin || begin + length > this.#begin + this.#view.byteLength) {
      this.#begin = begin
      this.#view = new DataView(await this.file.slice(begin, begin + Math.max(length, windowSize)).arrayBuffer())
    }
    return new DataView(this.#view.buffer, begin - this.#begin, length)
  }
}

const textAt = (view: DataView, at: number, length: number) =>
  String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, length))

/** How the picture is turned by the EXIF of a JPEG file: 1 to 8, 1 where it does not say. */
function orientationOf(exif: DataView): number {
  const isLittle = exif.getUint16(0) === 0x4949
  const directory = exif.getUint32(4, isLittle)
  const count = exif.getUint16(directory, isLittle)
  for (let at = directory + 2; at < directory + 2 + 12 * count; at += 12) {
    if (exif.getUint16(at, isLittle) === 0x0112) return exif.getUint16(at + 8, isLittle)
  }
  return 1
}

async function jpeg(file: FileWindow): Promise<ImageHeader> {
  let at = 2
  let isTurned = false
  for (let part = 0; part < maxParts; part++) {
    const head = await file.at(at, 4)
    const [mark, length] = [head.getUint16(0), head.getUint16(2)]
    // Any number of these may stand between parts.
    if (mark === 0xffff) {
      at++
      continue
    }
    if (mark < 0xffc0 || mark === 0xffda || length < 2) break
    const isFrame = mark <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(mark)
    if (isFrame) {
      const frame = await file.at(at + 5, 4)
      const [height, width] = [frame.getUint16(0), frame.getUint16(2)]
      return { ...(isTurned ? { height: width, width: height } : { height, width }), pictures: 1 }
    }
    if (mark === 0xffe1 && length > 16) {
      const content = await file.at(at + 4, length - 2)
      try {
        if (textAt(content, 0, 6) === 'Exif\0\0')
          isTurned = orientationOf(new DataView(content.buffer, content.byteOffset + 6, content.byteLength - 6)) > 4
      } catch {
        // What leads nowhere turns nothing.
      }
    }
    at += 2 + length
  }
  throw new Error('its header does not say its size')
}

async function png(file: FileWindow): Promise<ImageHeader> {
  const head = await file.at(8, 16)
  if (textAt(head, 4, 4) !== 'IHDR') throw new Error('its header does not say its size')
  return { height: head.getUint32(12), width: head.getUint32(8), pictures: 1 }
}

async function webp(file: FileWindow, size: number): Promise<ImageHeader> {
  const head = await file.at(12, 18)
  const kind = textAt(head, 0, 4)
  const sizes = (width: number, height: number) => ({ width, height, pictures: 1 })
  if (kind === 'VP8 ') return sizes(head.getUint16(14, true) & 0x3fff, head.getUint16(16, true) & 0x3fff)
  if (kind === 'VP8L') {
    const bits = head.getUint32(9, true)
    return sizes((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1)
  }
  if (kind !== 'VP8X') throw new Error('its header does not say its size')
  const uint24 = (at: number) => head.getUint16(at, true) + head.getUint8(at + 2) * 2 ** 16
  const canvas = sizes(uint24(12) + 1, uint24(15) + 1)
  const isAnimated = (head.getUint8(8) & 2) !== 0
  return isAnimated ? { ...canvas, pictures: await frames(file, size) } : canvas
}

/** The pictures of an animation. */
async function frames(file: FileWindow, size: number): Promise<number> {
  let count = 0
  let at = 12
  for (let part = 0; part < maxParts && at + 8 <= size; part++) {
    const head = await file.at(at, 8)
    if (textAt(head, 0, 4) === 'ANMF') count++
    const length = head.getUint32(4, true)
    at += 8 + length + (length % 2)
  }
  return count
}

/** Reads what it needs of a file. Throws an Error for what is none of these images. */
export async function readImageHeader(content: Blob): Promise<ImageHeader> {
  const file = new FileWindow(content)
  const head = await file.at(0, Math.min(12, content.size))
  const begins = (at: number, text: string) =>
    head.byteLength >= at + text.length && textAt(head, at, text.length) === text
  if (begins(0, '\xff\xd8')) return jpeg(file)
  if (begins(0, '\x89PNG\r\n\x1a\n')) return png(file)
  if (begins(0, 'RIFF') && begins(8, 'WEBP')) return webp(file, content.size)
  throw new Error('it is no JPEG, PNG or WebP')
}
