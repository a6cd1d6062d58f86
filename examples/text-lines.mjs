// Draws pictures of text lines, in folders by what they say: dates, prices and words. `node examples/text-lines.mjs lines 60`
// writes 60 of each kind to lines/date, lines/price and lines/word. Needs sharp.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'

const [, , folder = 'lines', count = '60'] = process.argv
const size = { width: 192, height: 48 }

/** Numbers from 0 to below 1, the same in every run (mulberry32). */
function drawn(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
const random = drawn(1)
const below = (limit) => Math.floor(random() * limit)
const one = (list) => list[below(list.length)]
const two = (value) => String(value).padStart(2, '0')

const letters = [...'abcdefghijklmnopqrstuvwxyz']
const kinds = {
  date: () => {
    const [day, month, year] = [two(1 + below(28)), two(1 + below(12)), 1950 + below(90)]
    return one([`${day}.${month}.${year}`, `${year}-${month}-${day}`, `${month}/${day}/${year}`])
  },
  price: () => {
    const amount = `${below(999)}${one(['.', ','])}${two(below(100))}`
    return one([`$${amount}`, `${amount} EUR`, `GBP ${amount}`, `${amount} kr`])
  },
  word: () => Array.from({ length: 5 + below(6) }, () => one(letters)).join(''),
}

const look = () => ({
  family: one(['serif', 'sans-serif', 'monospace']),
  size: 18 + below(8),
  weight: one(['normal', 'bold']),
  style: one(['normal', 'normal', 'italic']),
  angle: (random() - 0.5) * 6,
  ink: below(110),
  paper: 165 + below(90),
})

async function draw(text, file) {
  const { family, size: height, weight, style, angle, ink, paper } = look()
  const { width, height: whole } = size
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${whole}">
    <rect width="100%" height="100%" fill="rgb(${paper},${paper},${paper})"/>
    <text x="50%" y="50%" dominant-baseline="central" text-anchor="middle" transform="rotate(${angle} ${width / 2} ${whole / 2})"
      font-family="${family}" font-size="${height}" font-weight="${weight}" font-style="${style}" fill="rgb(${ink},${ink},${ink})">${text}</text>
  </svg>`
  const noise = Buffer.from(Uint8Array.from({ length: width * whole * 3 }, () => 100 + below(56)))
  const paperGrain = { input: noise, raw: { width, height: whole, channels: 3 }, blend: 'soft-light' }
  await sharp(Buffer.from(svg))
    .blur(0.3 + random())
    .composite([paperGrain])
    .removeAlpha()
    .png()
    .toFile(file)
}

for (const [kind, text] of Object.entries(kinds)) {
  await mkdir(join(folder, kind), { recursive: true })
  for (let i = 0; i < Number(count); i++) await draw(text(), join(folder, kind, `${String(i).padStart(3, '0')}.png`))
}
console.log(`${3 * Number(count)} pictures in ${folder}`)
