// The worker that computes by WebGPU: a build of the runtime of its own, which a page that takes WebAssembly need not load.

import { serve } from './serve.js'

serve('webgpu', () => import('onnxruntime-web/webgpu'))
