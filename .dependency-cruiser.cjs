/** The layers, and what each may import. The comment of a rule gives its reason. */
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

/** The rooms of a layer from the ground up: a room imports only those before it. Rooms to come have their place. */
const floors = {
  api: [
    ...['http', 'model-host', 'access', 'audit', 'health', 'notifications', 'workflows', 'storage', 'monitoring'],
    ...[
      'exports',
      'features',
      'datasets',
      'retraining',
      'registry',
      'batch-predictions',
      'predictions',
      'erasure',
      'experiments',
    ],
    ...['promotion', 'traffic', 'inference', 'pipelines', 'mlflow'],
  ],
  stores: [
    ...['postgres', 'objects', 'access', 'audit', 'features', 'notifications', 'erasure', 'datasets', 'experiments'],
    ...['promotion', 'predictions', 'batch-predictions', 'pipelines', 'registry', 'retraining', 'storage'],
    ...['traffic', 'monitoring', 'exports', 'mlflow'],
  ],
  contracts: [
    ...['http', 'access', 'audit', 'notifications', 'workflows', 'storage', 'training', 'datasets', 'features'],
    ...['registry', 'promotion', 'experiments', 'predictions', 'batch-predictions', 'traffic', 'inference'],
    ...['retraining', 'monitoring', 'exports', 'pipelines', 'mlflow'],
  ],
};
/** Files at the top of a layer that every room may import. The others there put rooms together, and no room imports them. */
const ground = ['contracts/errors.ts', 'contracts/names.ts', 'contracts/process.ts'];

const floorRules = Object.entries(floors).flatMap(([layer, layerRooms]) =>
  layerRooms.map((room, floor) => ({
    name: `floor-${layer}-${room}`,
    comment: 'A room imports only rooms below it, so that each can be changed without the rooms above.',
    severity: 'error',
    from: { path: `^${layer}/${room}/` },
    to: {
      path: `^${layer}/`,
      pathNot: [...ground, ...layerRooms.slice(0, floor + 1).map((below) => `${layer}/${below}/`)].map(
        (path) => `^${path}`,
      ),
    },
  })),
);

/** A folder without a place in the order would escape the rules above. */
const unknownRooms = Object.entries(floors).map(([layer, layerRooms]) => ({
  name: `floor-${layer}-unknown`,
  comment: 'Give a new room its place in the order of floors.',
  severity: 'error',
  from: { path: `^${layer}/(?!(?:${layerRooms.join('|')}|migrations)/)[^/]+/` },
  to: {},
}));

module.exports = {
  forbidden: [
    ...floorRules,
    ...unknownRooms,
    {
      name: 'no-cycle',
      comment: 'Files that import each other cannot be understood or changed separately.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-tests-in-source',
      comment: 'Product code must not depend on tests.',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    layer('contracts', [], 'Shapes at the boundary know nothing of what is behind it.'),
    layer('platform', ['contracts'], 'Every process loads platform, so it must not import product code.'),
    layer(
      'model',
      ['contracts', 'platform/validation'],
      'The model core is pure: files and numbers in, files and numbers out.',
    ),
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
      '@tensorflow|onnxruntime-node|onnx-proto|sharp|@julusian',
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
