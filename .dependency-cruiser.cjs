/** The layers of the house: who may import whom. Each rule says why. */
const rooms = [
  'contracts',
  'platform',
  'model',
  'domain',
  'stores',
  'activities',
  'workflows',
  'workers',
  'api',
  'infra',
  'cli',
  'web',
  'test',
];

/** A rule that `room` imports none of our rooms but itself and `allowed` (regular expressions of path prefixes). */
function layer(room, allowed, comment) {
  return {
    name: `layer-${room}`,
    comment,
    severity: 'error',
    from: { path: `^${room}/` },
    to: { path: `^(${rooms.join('|')})/`, pathNot: [room, ...allowed].map((prefix) => `^${prefix}/`) },
  };
}

/** A rule that only `homes` import the packages whose path matches. */
function onlyIn(name, packages, homes, comment) {
  return {
    name,
    comment,
    severity: 'error',
    from: { pathNot: [...homes, 'test'].map((home) => `^${home}`) },
    to: { path: `node_modules/(${packages})/` },
  };
}

module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      comment: 'A cycle has no beginning for a reader.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-tests-in-source',
      comment: 'What ships never needs a test.',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    layer('contracts', [], 'Shapes at the boundary know nothing of what is behind it.'),
    layer('platform', ['contracts'], 'What every process needs must not drag the product in.'),
    layer('model', ['contracts'], 'The model core is pure: files and numbers in, files and numbers out.'),
    layer('domain', ['contracts'], 'Rules are pure functions.'),
    layer('stores', ['contracts', 'platform'], 'Stores speak SQL and S3 and decide nothing.'),
    layer('activities', ['model', 'domain', 'stores', 'contracts', 'platform'], 'Activities do, workflows decide.'),
    layer(
      'workflows',
      ['contracts', 'domain', 'activities'],
      'Workflows orchestrate; of activities they know types only.',
    ),
    layer(
      'workers',
      ['contracts', 'platform', 'model', 'domain', 'stores', 'activities', 'workflows'],
      'Entry points wire everything but the API.',
    ),
    layer(
      'api',
      ['contracts', 'domain', 'platform', 'stores', 'model/serving', 'model/images'],
      'The API never loads TensorFlow or activities.',
    ),
    layer('infra', ['platform', 'contracts'], 'Set-up and supervision know processes, not the product.'),
    {
      name: 'setup-needs-nothing',
      comment: 'Set-up runs before anything is installed or built: plain Node and its own files.',
      severity: 'error',
      from: { path: '^infra/setup/' },
      to: { dependencyTypesNot: ['core'], pathNot: '^infra/setup/' },
    },
    {
      name: 'workflows-take-types-of-activities',
      comment: 'An activity implementation inside the sandbox would break determinism.',
      severity: 'error',
      from: { path: '^workflows/', pathNot: '^workflows/bundle/' },
      to: { path: '^activities/', dependencyTypesNot: ['type-only'] },
    },
    onlyIn(
      'model-libraries-in-model',
      '@tensorflow|onnxruntime-node|onnx-proto|sharp',
      ['model'],
      'Only the model core touches tensors and pixels.',
    ),
    onlyIn('storage-libraries-in-stores', 'pg|@aws-sdk', ['stores'], 'SQL and S3 have one home.'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
