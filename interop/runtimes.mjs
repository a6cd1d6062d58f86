// The runtimes: how each is installed, which example runs in it, and which form of the training step it takes.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { trainInPage } from './browser.mjs'
import { cargo, example, maven, npm, python, root, run } from './install.mjs'

/** A runtime that an example in a file runs in: the last words of the command line are those of trial.mjs. */
const program = (command, ...argv) => ({ run: (...given) => run(command, [...argv, ...given]) })

const numpy = 'numpy==2.4.6'
const onnx = python('onnx', ['onnx==1.23.2', numpy])
const ort = python('onnxruntime', ['onnxruntime==1.32.0', numpy])
// The first with opset 18. Its last interpreter is Python 3.10.
const oldOrt = python('onnxruntime-1.14', ['onnxruntime==1.14.0', 'numpy==1.26.4'], 'python3.10')
// The first with opset 13. The last interpreter of its time is Python 3.8.
const oldestOrt = python('onnxruntime-1.6', ['onnxruntime==1.6.0', 'numpy==1.24.4'], 'python3.8')
const trainingPython = join(root, '.venv', 'ort-training', 'bin', 'python')
const web = npm('onnxruntime-web', '1.30.0')
const openvino = python('openvino', ['openvino==2026.4.1', numpy])
const tvm = python('tvm', ['apache-tvm==0.27.0.post1', 'onnx==1.23.2', numpy])
const torch = python('onnx2torch', ['onnx2torch==1.5.15', 'torch==2.15.0'])
const opencv = python('opencv', ['opencv-python-headless==5.0.0.93', numpy])
const java = maven('onnxruntime', 'com.microsoft.onnxruntime', '1.29.0')
const tract = cargo('tract')
const rten = cargo('rten')

const packages = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).dependencies
const nodeExample = example('train-onnxruntime.mjs')

/**
 * `form`: the form of the training step (nets.mjs) that it runs, the first of those that every runtime may take. `refuses` in its place: it only predicts.
 * `quick`: installs in less than two minutes on two cores, and is part of the tests. `steps`: how many are timed, unless ten;
 * 0 where the time says nothing. `complaint`: what of its words says why it does not run a form.
 */
export const runtimes = [
  {
    name: 'onnxruntime-node',
    title: 'ONNX Runtime for Node',
    version: packages['onnxruntime-node'],
    language: 'JavaScript',
    sample: 'train-onnxruntime.mjs',
    form: 'functions',
    quick: true,
    installation: { install: () => {}, isInstalled: () => true },
    ...program(process.execPath, nodeExample),
  },
  {
    name: 'onnxruntime',
    title: 'ONNX Runtime',
    version: '1.32.0',
    language: 'Python',
    sample: 'train-onnxruntime.py',
    form: 'functions',
    quick: true,
    installation: ort,
    ...program(ort.command, example('train-onnxruntime.py')),
  },
  {
    name: 'onnxruntime-1.14',
    title: 'ONNX Runtime',
    version: '1.14.0',
    language: 'Python',
    sample: 'train-onnxruntime.py',
    form: 'inline',
    // Not the path before it.
    complaint: /ONNX Schema .*/,
    quick: true,
    installation: oldOrt,
    ...program(oldOrt.command, example('train-onnxruntime.py')),
  },
  {
    name: 'onnxruntime-1.6',
    title: 'ONNX Runtime',
    version: '1.6.0',
    language: 'Python',
    sample: 'train-onnxruntime.py',
    form: 'opset 13',
    quick: true,
    installation: oldestOrt,
    ...program(oldestOrt.command, example('train-onnxruntime.py')),
  },
  {
    name: 'onnxruntime-training',
    title: 'ONNX Runtime, its last training build,',
    version: '1.19.2',
    language: 'Python',
    sample: 'train-onnxruntime.py',
    form: 'ort-training',
    quick: true,
    installation: {
      install: () => run(join(root, 'test', 'support', 'ortTraining.sh'), []),
      isInstalled: () => existsSync(trainingPython),
    },
    ...program(trainingPython, example('train-onnxruntime.py')),
  },
  {
    name: 'onnxruntime-java',
    title: 'ONNX Runtime for Java',
    version: '1.29.0',
    language: 'Java',
    sample: 'train-onnxruntime.java',
    form: 'functions',
    quick: true,
    installation: java,
    ...program('java', '-cp', java.jar, example('train-onnxruntime.java')),
  },
  {
    name: 'onnxruntime-web',
    title: 'ONNX Runtime for the web, WebAssembly in Node',
    version: '1.30.0',
    language: 'JavaScript',
    sample: 'train-onnxruntime.mjs',
    form: 'functions',
    quick: true,
    installation: web,
    run: (...given) => run(process.execPath, [nodeExample, ...given, web.from('dist/ort.node.min.mjs')]),
  },
  {
    name: 'chromium',
    title: 'ONNX Runtime for the web, WebAssembly in Chromium',
    version: '1.30.0',
    language: 'HTML',
    sample: 'train-onnxruntime.html',
    form: 'functions',
    quick: true,
    installation: web,
    run: (...given) => trainInPage('wasm', ...given),
  },
  {
    name: 'webgpu',
    title: 'ONNX Runtime for the web, WebGPU in Chromium',
    version: '1.30.0',
    language: 'HTML',
    sample: 'train-onnxruntime.html',
    form: 'functions',
    // A step of the small network takes seconds in software.
    steps: 0,
    installation: web,
    run: (...given) => trainInPage('webgpu', ...given),
  },
  {
    name: 'onnx',
    title: "ONNX's own evaluator",
    version: '1.23.2',
    language: 'Python',
    sample: 'train-onnx.py',
    form: 'functions',
    steps: 2,
    quick: true,
    installation: onnx,
    ...program(onnx.command, example('train-onnx.py')),
    check: (files) => run(onnx.command, [join(root, 'interop', 'check.py'), ...files]),
  },
  {
    name: 'openvino',
    title: 'OpenVINO',
    version: '2026.4.1',
    language: 'Python',
    sample: 'train-openvino.py',
    form: 'basic',
    complaint: /No conversion rule found for operations: rdm\.training\.\w+/,
    quick: true,
    installation: openvino,
    ...program(openvino.command, example('train-openvino.py')),
  },
  {
    name: 'tract',
    title: 'tract',
    version: '0.23.9',
    language: 'Rust',
    sample: 'tract',
    form: 'basic',
    complaint: /Translating node .*\n\nCaused by:\n.*|Unimplemented\(\w+\)/,
    installation: tract,
    ...program(tract.command),
  },
  {
    name: 'rten',
    title: 'rten',
    version: '0.27.0',
    language: 'Rust',
    sample: 'rten',
    form: 'inline',
    complaint: /OperatorUnavailable \{.*?\}/,
    quick: true,
    installation: rten,
    ...program(rten.command),
  },
  {
    name: 'tvm',
    title: 'TVM',
    version: '0.27.0.post1',
    language: 'Python',
    sample: 'train-tvm.py',
    form: 'basic',
    complaint: /^\w*Error: (?:Binary operators|Missing outputs).*?\.(?= |$).*|not supported for frontend ONNX: \w+/m,
    quick: true,
    installation: tvm,
    ...program(tvm.command, example('train-tvm.py')),
  },
  {
    name: 'opencv',
    title: 'OpenCV',
    version: '5.0.0.93',
    language: 'Python',
    sample: 'train-opencv.py',
    form: 'basic',
    complaint: /Node \[\w+@[\w.]+\].*? parse error/,
    quick: true,
    installation: opencv,
    ...program(opencv.command, example('train-opencv.py')),
  },
  {
    name: 'onnx2torch',
    title: 'PyTorch 2.15.0, by onnx2torch',
    version: '1.5.15',
    language: 'Python',
    sample: 'predict-onnx2torch.py',
    complaint: /^NotImplementedError: .*/m,
    installation: torch,
    run: (models, images, _, predicted) =>
      run(torch.command, [example('predict-onnx2torch.py'), models, images, predicted]),
    refuses: (models) =>
      run(torch.command, ['-c', 'import onnx2torch, sys; onnx2torch.convert(sys.argv[1])', join(models, 'train.onnx')]),
  },
]
