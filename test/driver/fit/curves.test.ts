// The picture of a run.
import { expect, it } from 'vitest'
import { curvesSvg } from '../../../src/driver/fit/curves.js'

const history = Array.from({ length: 5 }, (_, epoch) => ({
  epoch,
  step: (epoch + 1) * 10,
  learningRate: epoch === 0 ? 0.01 : 0.1,
  loss: 2 / (epoch + 1),
  error: 0.8 / (epoch + 1),
  testLoss: 2.2 / (epoch + 1),
  testError: 0.9 / (epoch + 1),
}))

it('names its axes and curves, tells the result and where the learning rate changes', () => {
  const svg = curvesSvg(history, 'rdm8 <b>&')
  expect(svg).toMatch(/^<svg /)
  for (const text of ['epoch', 'error (%)', 'training error', 'test error', 'lr 0.1', 'rdm8 &lt;b&gt;&amp;']) {
    expect(svg).toContain(text)
  }
  // Quotation marks in a font's name would end the attribute that they stand in.
  expect(svg).not.toMatch(/style="[^"]*"[^ />]/)
  expect(svg).toContain('after 5 epochs: training error 16 %, test error 18 %')
})

it('marks a learning rate where its first epoch begins, which is where the one before it ends', () => {
  const svg = curvesSvg(history, 'a')
  const at = (value: number) => 70 + ((800 - 70 - 40) * value) / 5
  const marks = [...svg.matchAll(/<path d="M([\d.]+) [^>]*stroke-dasharray/g)].map((match) => Number(match[1]))
  expect(marks).toHaveLength(1)
  expect(Math.abs(marks[0]! - at(1))).toBeLessThan(1)
})

it('is the same every time', () => {
  expect(curvesSvg(history, 'a')).toBe(curvesSvg(history, 'a'))
})

it.each([0, 1])('can be drawn of %i epochs', (count) => {
  expect(curvesSvg(history.slice(0, count), 'a')).toContain('error (%)')
})
