// The API reference: `npm run docs`. It fails where an exported name has no docstring, and where a link leads nowhere.
export default {
  name: 'rdm-onnx',
  entryPoints: ['../../src/index.ts', '../../src/core/index.ts', '../../src/web/index.ts'],
  tsconfig: 'tsconfig.json',
  out: '../../docs/api',
  readme: 'none',
  disableSources: true,
  treatWarningsAsErrors: true,
  // What the attributes of a record are made of, TypeScript infers; nobody has to name it.
  validation: { notExported: false, invalidLink: true, rewrittenLink: true, notDocumented: true },
  // Taken over from other types, where they are documented.
  intentionallyNotDocumented: [
    'index.CompositeRecord.complete',
    'index.CompositeRecord.dims',
    'index.PlanOptions.onNotice',
    'index.PlanOptions.onProgress',
  ],
  requiredToBeDocumented: ['Class', 'Interface', 'Enum', 'TypeAlias', 'Variable', 'Function'],
}
