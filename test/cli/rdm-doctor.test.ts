// rdm-doctor as a user runs it, on the machine that is there.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { hasWebgpu, withAdapter } from '../support/webgpu.js'
import { commandFile, run } from './support.js'

it('computes a convolution on the CPU provider, and says the same in text and JSON', () => {
  const { code, out, err } = run('rdm-doctor', ['--json'])
  expect(err).toBe('')
  const { node, machine, runtime, gpu, trials, diagnosis } = JSON.parse(out)
  expect(node).toMatchObject({ version: process.versions.node, wanted: '>=20.19', fits: true })
  expect(machine).toMatchObject({ platform: process.platform, arch: process.arch })
  expect(runtime.version).toBe('1.29.0')
  expect(runtime.providers).toContain('cpu')
  expect(trials.cpu).toMatchObject({ works: true, said: expect.stringMatching(/^computed by CPUExecutionProvider,/) })
  expect(code).toBe(diagnosis.problems.length === 0 ? 0 : 1)
  if (gpu.gpus.length === 0 && gpu.onBus === 0 && gpu.failure?.kind === 'missing') {
    expect(code).toBe(0)
    expect(diagnosis.advice).toEqual(['training runs on the CPU; no NVIDIA GPU was found, nothing to install'])
  }

  const text = run('rdm-doctor', [])
  expect({ code: text.code, err: text.err }).toEqual({ code, err: '' })
  expect(text.out).toContain(`Node ${process.versions.node} (needed: >=20.19)`)
  expect(text.out).toContain(`  ok       cpu: ${trials.cpu.said}\n`)
  for (const line of [...diagnosis.problems, ...diagnosis.advice]) expect(text.out).toContain(`  ${line}\n`)
})

it('makes the child name the library that does not load, where CUDA does not work', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-doctor-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const child = fileURLToPath(new URL('../../dist/src/study/doctor/child.js', import.meta.url))
  const job = JSON.stringify({ provider: 'cuda', device: 0, folder })
  const { status, stdout, stderr } = spawnSync(process.execPath, [child, job], { encoding: 'utf8' })
  expect(status).toBe(0)
  const answer = JSON.parse(stdout)
  if ('failure' in answer) {
    expect(answer.failure).toContain('npx rdm-doctor')
    expect(stderr).toMatch(/\[ONNXRuntimeError\] : \d+ : \w+ : .*\S/)
  } else {
    expect(answer.placed).toEqual(['CUDAExecutionProvider'])
  }
})

it('leaves no temporary file behind', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rdm-doctor-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { stdout } = spawnSync(process.execPath, [commandFile('rdm-doctor')], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: folder },
  })
  expect(stdout).toContain('computed by CPUExecutionProvider')
  // ONNX Runtime leaves files of its own there.
  expect(readdirSync(folder).filter((name) => name.startsWith('rdm-'))).toEqual([])
})

it.each([
  [['--device', '-1'], "option '--device <number>' argument '-1' is invalid. Expected a whole number from 0 to 255"],
  [['--gpu', '0'], "unknown option '--gpu'"],
  [['now'], /^too many arguments/],
])('refuses %j', (argv, message) => {
  const { code, out, err } = run('rdm-doctor', argv)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toMatch(/^rdm-doctor: [^\n]+\n$/)
  expect(err.slice('rdm-doctor: '.length, -1)).toMatch(message)
})

it.runIf(hasWebgpu)('computes a convolution by WebGPU where there is an adapter', () => {
  const file = commandFile('rdm-doctor')
  const { stdout } = spawnSync(process.execPath, [file, '--json'], { encoding: 'utf8', env: withAdapter() })
  const { trials, vulkan } = JSON.parse(stdout)
  expect(trials.webgpu).toMatchObject({
    works: true,
    said: expect.stringMatching(/^computed by WebGpuExecutionProvider, largest relative error /),
  })
  expect(vulkan.drivers).toEqual([withAdapter().VK_DRIVER_FILES])
})
