// Learning rate schedules: what epoch has which rate, and what is no schedule.
import { expect, it } from 'vitest'
import { formatSchedule, learningRateAt, parseSchedule } from '../../../src/core/model/schedule.js'

const paper = parseSchedule('0:0.01,1:0.1,80:0.01,120:0.001')

it.each([
  [0, 0.01],
  [1, 0.1],
  [79, 0.1],
  [80, 0.01],
  [119, 0.01],
  [120, 0.001],
  [1000, 0.001],
])('gives epoch %i the rate %f', (epoch, rate) => {
  expect(learningRateAt(paper, epoch)).toBe(rate)
})

it.each([
  ['0.1', '0:0.1'],
  ['1e-3', '0:0.001'],
  [' 0:.5, 3:1', '0:0.5,3:1'],
])('reads %j', (text, schedule) => {
  expect(formatSchedule(parseSchedule(text))).toBe(schedule)
})

it.each([
  ['', '"" is no step of a learning rate schedule: write epoch:rate'.replace('""', '"0:"')],
  [
    'fast',
    '"0:fast" is no step of a learning rate schedule: write epoch:rate, as in 0:0.01,1:0.1,80:0.01, or one rate',
  ],
  ['0:0.1,5', '"5" is no step of a learning rate schedule'],
  ['0:-1', '"0:-1" is no step of a learning rate schedule'],
  ['1:0.1', '"1:0.1": a learning rate schedule starts at epoch 0'],
  ['0:1,5:2,5:3', '"0:1,5:2,5:3": the epochs of a learning rate schedule rise'],
])('refuses %j', (text, message) => {
  expect(() => parseSchedule(text)).toThrow(message)
})
