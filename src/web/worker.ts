// The worker that computes by WebAssembly.

import { serve } from './serve.js'

serve('wasm', () => import('onnxruntime-web/wasm'))
