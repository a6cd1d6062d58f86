// Every code block of README.md and docs/: the test that runs it, or why none does. pages.test.ts holds the pages to this list.

export type Shown = { readonly language: string; readonly text: string } & (
  | { readonly by: string }
  | { readonly never: string }
)

/** Blocks of a language that hold a text, which the test file names. */
const by = (file: string, ...found: readonly (readonly [language: string, text: string])[]): readonly Shown[] =>
  found.map(([language, text]) => ({ language, text, by: file }))
const never = (language: string, text: string, why: string): Shown => ({ language, text, never: why })

const downloads = 'it downloads from the internet'
const needsGpu =
  'it needs a GPU; test/driver/fit/webgpu.test.ts and test/driver/targets train by the same steps without one'

export const shown: Readonly<Record<string, readonly Shown[]>> = {
  'README.md': [
    never(
      'sh',
      'npm ci && npm test',
      'it installs the packages and runs all tests; docs.test.ts runs what npm start runs',
    ),
    ...by('docs.test.ts', ['js', 'graph('], ['sh', 'somebodys.onnx']),
  ],
  'docs/architecture.md': [],
  'docs/artifacts.md': by('training.test.ts', ['sh', '--artifacts artifacts']),
  'docs/commands.md': [],
  'docs/contributing.md': [never('sh', 'npm run build', 'it installs the packages and runs all tests')],
  'docs/cpu.md': by('training.test.ts', ['sh', '--profile']),
  'docs/data.md': by(
    'training.test.ts',
    ['js', 'columnStatistics'],
    ['sh', '--input x=area,rooms'],
    ['js', 'random-resized-crop'],
  ),
  'docs/dsl.md': by(
    'docs.test.ts',
    ['js', "graph('separable'"],
    ['js', "graph('quantile'"],
    ['js', 'Σ x³'],
    ['js', "name: 'Swish'"],
  ),
  'docs/elsewhere.md': by('training.test.ts', ['sh', 'train-onnxruntime.mjs'], ['py', 'train.run(']),
  'docs/experiment.md': [
    ...by('experiment.test.ts', ['sh', 'rdm-repro status runs/small\n'], ['sh', 'npx rdm-worker']),
    ...by('experiment.test.ts', ['sh', 'rdm-report runs/small\n'], ['sh', '--out report']),
    ...by('../study/repro/plan.test.ts', ['yaml', 'rdm-onnx plan 1']),
  ],
  'docs/finetune.md': [
    ...by(
      'docs.test.ts',
      ['sh', 'text-lines.mjs'],
      ['sh', 'direction.onnx --explain'],
      ['sh', '--lora 4'],
      ['js', 'sorter'],
    ),
    never('python', 'MLPRegressor', 'scikit-learn is not installed here; a file of its exporter is among the fixtures'),
    ...by('docs.test.ts', ['sh', 'regressor.onnx'], ['js', 'library.onnx']),
    ...by('docs.test.ts', ['sh', 'pets.onnx'], ['sh', 'merged.onnx'], ['python', 'LoraAdapter']),
  ],
  'docs/gpu.md': [
    never('sh', '--ep webgpu', needsGpu),
    ...by('training.test.ts', ['sh', '--target ort-webgpu'], ['sh', '--target ort-cuda']),
    never('sh', 'npm rebuild', downloads),
    never('sh', 'npm pack', downloads),
    never('sh', 'pip install', downloads),
    never('sh', '--ep cuda', needsGpu),
  ],
  'docs/gradients.md': by(
    'gradients.test.ts',
    ['sh', 'gradient.onnx'],
    ['js', 'exportDerivative(network'],
    ['sh', 'saliency.onnx'],
    ['js', 'saliency.indexOf'],
    ['sh', 'gradcam.onnx'],
    ['py', 'gradcam.onnx'],
    ['js', 'adversarial.bin'],
    ['sh', 'forces.onnx'],
    ['js', 'forces.onnx'],
    ['sh', 'guidance.onnx'],
    ['js', 'guidance.onnx'],
    ['sh', 'adj_f.onnx'],
    ['py', 'casadi.hessian'],
  ),
  'docs/lab.md': [
    never('sh', 'npx rdm-lab', 'it serves until Ctrl-C; test/lab/server.test.ts starts and asks it'),
    never('sh', 'npm run lab:build', 'it makes what the tests of test/lab open'),
  ],
  'docs/paths.md': by('experiment.test.ts', ['sh', '--budget params=1.7M'], ['sh', '--out edges.svg']),
  'docs/plan.md': by('../study/repro/plan.test.ts', ['yaml', 'rdm-onnx plan 1']),
  'docs/training-builds.md': by('training.test.ts', ['sh', '--runtime web-training']),
  'docs/training.md': by('training.test.ts', ['sh', '--optimizer adamw'], ['sh', '--arch airbench94']),
  'docs/tutorial.md': by(
    'training.test.ts',
    ['sh', 'rdm-data fetch cifar10'],
    ['sh', '--resume'],
    ['js', 'probabilities'],
    ['sh', '--seeds 1..5'],
  ),
  'docs/web.md': [
    never('sh', 'npm install rdm-onnx', downloads),
    ...by('../web/bundles.test.ts', ['html', 'train: 4000, test: 1000'], ['html', 'importmap']),
    never('sh', '~/Downloads', 'a browser puts the file there; test/web/fit.test.ts takes a run from the page to Node'),
  ],
}
