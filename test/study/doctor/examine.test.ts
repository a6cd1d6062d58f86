// What the doctor says of machines that are made up: what is there, what is missing, what to do.
import { expect, it } from 'vitest'
import { examine, fits } from '../../../src/study/doctor/examine.js'
import { report } from '../../../src/study/doctor/report.js'
import {
  answered,
  computed,
  driverFor,
  type Fake,
  fakeSystem,
  gpuSystem,
  lddOutput,
  nativeFolder,
  refused,
  said,
} from './fakeSystem.js'

const pythonFolder = '/home/u/.venv/lib/python3.12/site-packages'

it('finds nothing to do on a machine without a GPU', async () => {
  const system = fakeSystem()
  const { diagnosis, ...facts } = await examine(system, 0)
  expect(diagnosis).toEqual({
    problems: [],
    advice: ['training runs on the CPU; no NVIDIA GPU was found, nothing to install'],
  })
  expect(facts.gpu.failure).toEqual({ kind: 'missing', message: 'it is not on the PATH' })
  // A provider that is not there is not tried.
  expect(system.jobs.map(({ provider }) => provider)).toEqual(['cpu'])
})

it('finds a GPU with all that it takes, and tries the one that is asked for', async () => {
  const system = gpuSystem()
  const { gpu, cuda, diagnosis } = await examine(system, 1)
  expect(gpu).toMatchObject({
    driver: '580.82.09',
    cuda: '13.0',
    gpus: [{ index: 0 }, { index: 1, name: 'NVIDIA H200' }],
  })
  expect(gpu.gpus[1]!.memory).toBe(143771 * 2 ** 20)
  const [libraries] = cuda!.libraries
  expect(libraries!.cuda).toBe(13)
  expect(libraries!.libraries).toContainEqual({
    name: 'libcudart.so.13',
    need: 'load',
    found: '/usr/local/cuda/lib64/libcudart.so.13',
    elsewhere: [],
  })
  // cuDNN, which the provider opens by name, is in no list of what it links to.
  expect(libraries!.libraries).toContainEqual({
    name: 'libcudnn.so.9',
    need: 'conv',
    found: '/opt/cudnn/libcudnn.so.9',
    elsewhere: [],
  })
  expect(diagnosis).toEqual({
    problems: [],
    advice: ['training can run on the GPU: rdm-fit model.onnx --ep cuda --device 1'],
  })
  expect(system.jobs).toMatchObject([{ provider: 'cpu' }, { provider: 'cuda', device: 1 }])
})

it('reads the header of newer drivers, which say KMD and CUDA UMD Version', async () => {
  const header = '| NVIDIA-SMI 610.43.02              KMD Version: 610.43.02     CUDA UMD Version: 13.3     |'
  const { gpu } = await examine(gpuSystem({ programs: { 'nvidia-smi': said(header) } }), 0)
  expect(gpu).toMatchObject({ driver: '610.43.02', cuda: '13.3' })
})

const foundAll = 'all that the provider needs was found: what it said is the reason'
const cudnnError =
  'dlopen failed for libcudnn.so: libcudnn.so: cannot open shared object file: No such file or directory'

it.each<[string, Fake, (RegExp | string)[], (RegExp | string)[]]>([
  [
    'cuDNN is nowhere',
    { folders: { '/opt/cudnn': [] }, programs: { cuda: refused(cudnnError) } },
    ['the loader does not find libcudnn.so.9', /^the CUDA provider does not compute a convolution: .*libcudnn\.so/],
    [/^install CUDA 13 and cuDNN 9 for it \(libcudnn\.so\.9\), for example by: pip install .* nvidia-cudnn-cu13;/],
  ],
  [
    "cuDNN is among Python's packages, off the loader's path",
    {
      env: { LD_LIBRARY_PATH: '' },
      programs: { cuda: refused(cudnnError), python3: said(JSON.stringify(['', pythonFolder])) },
      folders: {
        [`${pythonFolder}/nvidia`]: ['cu13', 'cudnn'],
        [`${pythonFolder}/nvidia/cudnn/lib`]: ['libcudnn.so.9'],
        [`${pythonFolder}/nvidia/cu13/lib`]: ['libnvrtc.so.13'],
      },
    },
    ['the loader does not find libcudnn.so.9', /convolution/],
    [
      `export LD_LIBRARY_PATH=${pythonFolder}/nvidia/cudnn/lib:${pythonFolder}/nvidia/cu13/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}`,
    ],
  ],
  [
    'what the provider links to is of another version of CUDA',
    {
      programs: {
        ldd: said(lddOutput(12, ['libcublasLt.so.12', 'libcublas.so.12', 'libcudart.so.12'])),
        cuda: refused(
          'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library',
          '\u001b[1;31m2026-01-01 [E:onnxruntime:onnxruntime-node, provider_bridge_ort.cc:2146 Create] x.cc:1988 Get() ' +
            '[ONNXRuntimeError] : 1 : FAIL : Failed to load library a.so with error: libcublasLt.so.12: cannot open\n\u001b[m',
        ),
      },
    },
    [
      'the loader does not find libcublasLt.so.12, libcublas.so.12, libcudart.so.12',
      'the CUDA provider does not compute a convolution: Failed to load library a.so with error: libcublasLt.so.12: cannot open',
    ],
    [/^install CUDA 12 and cuDNN 9 .*pip install nvidia-cuda-runtime-cu12 /],
  ],
  [
    "the provider's files are missing",
    { folders: { [nativeFolder]: ['onnxruntime_binding.node'] } },
    [
      /^there is a GPU, but no CUDA provider: libonnxruntime_providers_shared\.so and libonnxruntime_providers_cuda\.so missing/,
    ],
    [/npm rebuild onnxruntime-node --ignore-scripts=false$/, /^or, for CUDA 13, from the npm package/],
  ],
  [
    'the driver is too old for the provider',
    { programs: { ...driverFor('12.4'), cuda: refused('CUDA failure 35: CUDA driver version is insufficient') } },
    ['the driver runs programs of up to CUDA 12.4, the provider is one of CUDA 13', /CUDA failure 35/],
    ['install a newer driver, or a provider of CUDA 12'],
  ],
  [
    'nvidia-smi does not reach the driver',
    {
      programs: {
        'nvidia-smi query': said(
          "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest " +
            'NVIDIA driver is installed and running.\n',
          9,
        ),
        cuda: refused('CUDA failure 100: no CUDA-capable device is detected'),
      },
    },
    [
      /^nvidia-smi fails: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver\./,
      /CUDA failure 100/,
    ],
    [/^NVIDIA's driver does not run: restart the machine/],
  ],
  [
    'a GPU is on the bus, but there is no driver',
    {
      programs: {
        'nvidia-smi query': { kind: 'missing', reason: 'it is not on the PATH' },
        ldd: said(lddOutput(13, ['libcuda.so.1'])),
        cuda: refused('libcuda.so.1: cannot open shared object file'),
      },
      folders: { '/sys/bus/pci/devices': ['0000:00:01.0', '0000:63:00.0', '0000:63:00.1'] },
      files: {
        '/sys/bus/pci/devices/0000:00:01.0/vendor': '0x8086\n',
        '/sys/bus/pci/devices/0000:63:00.0/vendor': '0x10de\n',
        '/sys/bus/pci/devices/0000:63:00.0/class': '0x030200\n',
        // The GPU's sound.
        '/sys/bus/pci/devices/0000:63:00.1/vendor': '0x10de\n',
        '/sys/bus/pci/devices/0000:63:00.1/class': '0x040300\n',
      },
    },
    [
      /^there is an NVIDIA GPU on the PCI bus, but/,
      'the loader does not find libcuda.so.1',
      /libcuda\.so\.1: cannot open/,
    ],
    [/^install NVIDIA's driver until nvidia-smi lists the GPU/, /^libcuda\.so\.1 comes with NVIDIA's driver/],
  ],
  [
    'CUDA fails, amid words on where',
    {
      programs: {
        cuda: refused(
          'ONNX Runtime refuses the model: /x/cuda_call.cc:146 onnxruntime::CudaCall(ERRTYPE, const char*) [with ERRTYPE = ' +
            'cudaError; bool THRW = true] CUDA failure 36: API call is not supported in the installed CUDA driver ; ' +
            'GPU=-1 ; hostname=vm ; file=/x/cuda_execution_provider.cc ; line=345 ; expr=cudaSetDevice(info_.device_id);',
        ),
      },
    },
    [/a convolution: CUDA failure 36: API call is not supported in the installed CUDA driver$/],
    [foundAll],
  ],
  [
    'the provider crashes',
    { programs: { cuda: { kind: 'crashed', signal: 'SIGSEGV', out: '', err: 'Segmentation fault\n' } } },
    ['the CUDA provider does not compute a convolution: crashed by SIGSEGV: Segmentation fault'],
    [foundAll],
  ],
  [
    'the provider hangs',
    { programs: { cuda: { kind: 'hung', out: '', err: '' } } },
    ['the CUDA provider does not compute a convolution: no answer within 180 s'],
    [foundAll],
  ],
  [
    'the convolution falls back to the CPU',
    { programs: { cuda: computed('CPUExecutionProvider') } },
    [/the convolution was placed on CPUExecutionProvider instead$/],
    [foundAll],
  ],
  [
    'the GPU computes nonsense',
    { programs: { cuda: computed('CUDAExecutionProvider', null) } },
    [/wrong result: it is off by NaN$/],
    [foundAll],
  ],
  [
    'the GPU computes something else',
    { programs: { cuda: computed('CUDAExecutionProvider', 0.25) } },
    [/wrong result: it is off by 25 %$/],
    [foundAll],
  ],
  [
    'the CPU provider crashes too',
    { programs: { cpu: { kind: 'crashed', signal: 'SIGILL', out: '', err: '' } } },
    ['the CPU provider does not compute a convolution: crashed by SIGILL'],
    [/^install onnxruntime-node anew/, /^training can run on the GPU/],
  ],
])('says what is wrong and what to do when %s', async (_, fake, problems, advice) => {
  const examination = await examine(gpuSystem(fake), 0)
  const { diagnosis } = examination
  const cpuWorks = examination.trials.cpu.works && !examination.trials.cuda?.works
  const expected = cpuWorks ? [...advice, 'until then training runs on the CPU'] : advice
  expect(diagnosis.problems).toHaveLength(problems.length)
  expect(diagnosis.advice).toHaveLength(expected.length)
  problems.forEach((text, i) => {
    expect(diagnosis.problems[i]).toEqual(text instanceof RegExp ? expect.stringMatching(text) : text)
  })
  expected.forEach((text, i) => {
    expect(diagnosis.advice[i]).toEqual(text instanceof RegExp ? expect.stringMatching(text) : text)
  })
  // All of it stands in the text for people.
  const text = report(examination)
  for (const part of [...diagnosis.problems, ...diagnosis.advice]) expect(text).toContain(`  ${part}\n`)
})

it('says when there is no GPU of the number that is asked for', async () => {
  const system = gpuSystem({ programs: { cuda: refused('CUDA failure 101: invalid device ordinal') } })
  const { diagnosis } = await examine(system, 2)
  expect(diagnosis.problems[0]).toBe('there is no GPU 2: nvidia-smi lists 2, counted from 0')
})

it('counts the GPUs on the PCI bus, not what else NVIDIA has there', async () => {
  const bus = '/sys/bus/pci/devices'
  const devices = { '0000:00:01.0': ['0x8086', '0x030000'], '0000:63:00.1': ['0x10de', '0x040300'] }
  const files = Object.fromEntries(
    Object.entries(devices).flatMap(([name, [vendor, kind]]) => [
      [`${bus}/${name}/vendor`, `${vendor}\n`],
      [`${bus}/${name}/class`, `${kind}\n`],
    ]),
  )
  const { gpu, diagnosis } = await examine(fakeSystem({ folders: { [bus]: Object.keys(devices) }, files }), 0)
  expect(gpu.onBus).toBe(0)
  expect(diagnosis.problems).toEqual([])
})

it('says that CUDA_VISIBLE_DEVICES may hide the GPU', async () => {
  const programs = { cuda: refused('CUDA failure 100: no CUDA-capable device is detected') }
  const examination = await examine(gpuSystem({ programs, env: { CUDA_VISIBLE_DEVICES: '-1' } }), 0)
  expect(examination.diagnosis.advice[0]).toBe(`${foundAll}, and CUDA_VISIBLE_DEVICES=-1 may hide the GPU`)
  expect(report(examination)).toContain('CUDA sees those of CUDA_VISIBLE_DEVICES=-1 only')
})

it('does not ask for a GPU where nvidia-smi lists none', async () => {
  const none = said('No devices were found\n', 6)
  const { diagnosis } = await examine(fakeSystem({ programs: { 'nvidia-smi query': none } }), 0)
  expect(diagnosis.problems).toEqual([])
  expect(diagnosis.advice).toEqual(['training runs on the CPU; no NVIDIA GPU was found, nothing to install'])
})

it('tells a GPU on a platform without a CUDA provider from one that should work', async () => {
  const { diagnosis, cuda } = await examine(gpuSystem({ platform: 'win32' }), 0)
  expect(cuda).toBeUndefined()
  expect(diagnosis).toEqual({
    problems: [],
    advice: [
      'training runs on the CPU: ONNX Runtime for Node has a CUDA provider on Linux x64 only, this is win32 x64',
    ],
  })
})

it('looks in the cache of the loader, for libraries of 64 bits', async () => {
  const cache = said(
    '\tlibcudnn.so.9 (libc6) => /usr/lib/i386-linux-gnu/libcudnn.so.9\n' +
      '\tlibcudnn.so.9 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcudnn.so.9\n',
  )
  const programs = { ldconfig: { kind: 'missing', reason: 'it is not on the PATH' } as const, '/sbin/ldconfig': cache }
  const { cuda } = await examine(gpuSystem({ env: { LD_LIBRARY_PATH: '/empty' }, programs }), 0)
  const found = cuda!.libraries[0]!.libraries.find(({ name }) => name === 'libcudnn.so.9')
  expect(found?.found).toBe('/usr/lib/x86_64-linux-gnu/libcudnn.so.9')
})

it.each([
  ['1.19.2', '  ok       onnxruntime-web 1.19.2, for --runtime web-training\n'],
  [
    null,
    '  missing  onnxruntime-web 1.19.2, for --runtime web-training: npm install onnxruntime-web-training@npm:onnxruntime-web@1.19.2\n',
  ],
  [
    '1.30.0',
    '  missing  onnxruntime-web 1.19.2, for --runtime web-training (1.30.0 is installed, which has no training build): ' +
      'npm install onnxruntime-web-training@npm:onnxruntime-web@1.19.2\n',
  ],
])('looks for the training build for the web: version %s', async (webVersion, expected) => {
  const examination = await examine(fakeSystem({ webVersion }), 0)
  expect(examination.runtime.web).toBe(webVersion ?? undefined)
  expect(report(examination)).toContain(expected)
  // It is an option.
  expect(examination.diagnosis.problems).toEqual([])
})

it('refuses a Node that is too old', async () => {
  const { diagnosis } = await examine(fakeSystem({ nodeVersion: '20.18.3' }), 0)
  expect(diagnosis.problems).toEqual(['Node 20.18.3 is older than what is needed, >=20.19'])
})

it.each([
  ['20.19.0', '>=20.19', true],
  ['20.18.9', '>=20.19', false],
  ['21.0.0', '>=20.19', true],
  ['18.20.1', '>=20.19', false],
  ['20.19.1', '>=20.19.2', false],
  ['20.0.0', '>=20', true],
])('Node %s for %s: %s', (version, wanted, expected) => {
  expect(fits(version, wanted)).toBe(expected)
})

const noAdapter = 'Failed to get a WebGPU adapter: No supported adapters'
const summary = (name: string, type: string) =>
  said(
    `Devices:\n========\nGPU0:\n\tdeviceType         = PHYSICAL_DEVICE_TYPE_${type}\n\tdeviceName         = ${name}\n`,
  )
/** A machine whose ONNX Runtime has WebGPU, and what it has for it. */
const webgpuSystem = (webgpu: ReturnType<typeof said>, { programs, ...fake }: Fake = {}) =>
  fakeSystem({
    ...fake,
    programs: {
      cpu: answered({ providers: ['cpu', 'webgpu'], placed: ['CPUExecutionProvider'], error: 0 }),
      webgpu,
      ...programs,
    },
  })
const loaderCache = said('1 libs\n\tlibvulkan.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libvulkan.so.1\n')
const mesa = { '/usr/share/vulkan/icd.d': ['radeon_icd.json', 'README'], '/dev/dri': ['card0', 'renderD128'] }

it.each<[string, ReturnType<typeof fakeSystem>, string]>([
  [
    'it works on the GPU that Vulkan has',
    webgpuSystem(computed('WebGpuExecutionProvider'), {
      programs: { vulkaninfo: summary('AMD Radeon 780M', 'INTEGRATED_GPU') },
    }),
    'training can run on any GPU by WebGPU: rdm-fit model.onnx --ep webgpu',
  ],
  [
    'it works in software alone',
    webgpuSystem(computed('WebGpuExecutionProvider'), { programs: { vulkaninfo: summary('llvmpipe', 'CPU') } }),
    'WebGPU computes in software here (llvmpipe), slower than the CPU provider: for tests alone',
  ],
  [
    'there is a GPU, and nothing for it',
    webgpuSystem(refused(noAdapter), { folders: { '/dev/dri': ['card0', 'renderD128'] } }),
    'to train on the GPU by WebGPU, install the Vulkan loader (Debian, Ubuntu: apt install libvulkan1) and a Vulkan driver ' +
      "(AMD, Intel: apt install mesa-vulkan-drivers; NVIDIA's comes with its driver); then rdm-fit model.onnx --ep webgpu",
  ],
  [
    'the loader is missing',
    webgpuSystem(refused(noAdapter), { folders: mesa }),
    'to train on the GPU by WebGPU, install the Vulkan loader (Debian, Ubuntu: apt install libvulkan1); then rdm-fit model.onnx --ep webgpu',
  ],
  [
    'all is there, and no adapter',
    webgpuSystem(refused(noAdapter), { folders: mesa, programs: { ldconfig: loaderCache } }),
    'to train on the GPU by WebGPU, it needs an adapter: vulkaninfo --summary lists what Vulkan has; then rdm-fit model.onnx --ep webgpu',
  ],
  [
    'there is no GPU',
    webgpuSystem(refused(noAdapter)),
    'training runs on the CPU; no NVIDIA GPU was found, nothing to install',
  ],
])('WebGPU: %s', async (_, system, advice) => {
  const examination = await examine(system, 0)
  expect(examination.diagnosis).toEqual({ problems: [], advice: [advice] })
  const text = report(examination)
  expect(text).toContain('Vulkan, by which WebGPU computes')
  expect(text).toContain(`webgpu: ${examination.trials.webgpu!.said}`)
  expect(system.jobs.map(({ provider }) => provider)).toEqual(['cpu', 'webgpu'])
})

it('WebGPU: tells the loader, the drivers and the adapters, and what cannot be told', async () => {
  const vulkaninfo = summary('AMD Radeon 780M', 'INTEGRATED_GPU')
  const known = await examine(
    webgpuSystem(computed('WebGpuExecutionProvider'), {
      folders: mesa,
      programs: { ldconfig: loaderCache, vulkaninfo },
    }),
    0,
  )
  expect(known.vulkan).toEqual({
    loader: '/usr/lib/x86_64-linux-gnu/libvulkan.so.1',
    drivers: ['/usr/share/vulkan/icd.d/radeon_icd.json'],
    adapters: [{ name: 'AMD Radeon 780M', type: 'INTEGRATED_GPU' }],
    nodes: ['renderD128'],
  })
  expect(report(known)).toContain('adapter: AMD Radeon 780M (INTEGRATED_GPU)')
  const named = await examine(
    webgpuSystem(refused(noAdapter), { env: { VK_DRIVER_FILES: '/opt/a.json:/opt/b.json' } }),
    0,
  )
  expect(named.vulkan).toMatchObject({ drivers: ['/opt/a.json', '/opt/b.json'] })
  expect(report(named)).toContain('onnxruntime-node does not tell')
  // Elsewhere it is Metal or Direct3D 12.
  const mac = await examine(webgpuSystem(computed('WebGpuExecutionProvider'), { platform: 'darwin', arch: 'arm64' }), 0)
  expect(mac.vulkan).toBeUndefined()
  expect(mac.diagnosis.advice).toContain('training can run on any GPU by WebGPU: rdm-fit model.onnx --ep webgpu')
})

it('WebGPU: a wrong convolution is told', async () => {
  const { trials, diagnosis } = await examine(webgpuSystem(computed('WebGpuExecutionProvider', 0.5)), 0)
  expect(trials.webgpu).toMatchObject({ works: false, said: 'wrong result: it is off by 50 %' })
  expect(diagnosis).toEqual({
    problems: ['the WebGPU provider does not compute a convolution: wrong result: it is off by 50 %'],
    advice: [
      'train without --ep webgpu, and with a newer driver of the GPU try again',
      'training runs on the CPU; no NVIDIA GPU was found, nothing to install',
    ],
  })
})
