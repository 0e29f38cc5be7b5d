const datasetDir = process.env['DATASET_DIR'];
if (!datasetDir) {
  process.stderr.write(
    'Set DATASET_DIR to a folder of class folders with photographs: these figures are about real ones.\n',
  );
  process.exit(2);
}
// Makes TensorFlow, which some parts load into this process, log errors only.
process.env['TF_CPP_MIN_LOG_LEVEL'] = '2';

/** The parts, each loaded only when it is wanted: `npm run bench -- decode throughput accuracy confidence tuning orchestration promotion serving serving-costs budget peers memory overload abuse endurance batch main-path cnn`. */
const parts: Record<string, (wanted: string[]) => Promise<void>> = {
  decode: async () => (await import('./decode.js')).benchDecode(datasetDir),
  throughput: async () => (await import('./throughput.js')).benchThroughput(datasetDir),
  accuracy: async () => (await import('./accuracy.js')).benchAccuracy(datasetDir),
  confidence: async () => (await import('./confidence.js')).benchConfidence(),
  tuning: async () => (await import('./tuning.js')).benchTuning(datasetDir),
  orchestration: async () => (await import('./orchestration.js')).benchOrchestration(),
  promotion: async () => (await import('./promotion.js')).benchPromotion(datasetDir),
  serving: async () => (await import('./serving/grid.js')).benchServing(datasetDir),
  'serving-costs': async () => (await import('./serving/costs.js')).benchServingCosts(datasetDir),
  budget: async () => (await import('./serving/budget.js')).benchBudget(datasetDir),
  peers: async (wanted) => (await import('./peer/peers.js')).benchPeers(datasetDir, wanted),
  memory: async (wanted) => (await import('./serving/memory.js')).benchMemory(datasetDir, wanted),
  overload: async () => (await import('./serving/overload.js')).benchOverload(datasetDir),
  abuse: async () => (await import('./abuse/abuse.js')).benchAbuse(datasetDir),
  endurance: async (wanted) => (await import('./serving/endurance.js')).benchEndurance(datasetDir, wanted),
  batch: async (wanted) => (await import('./batch.js')).benchBatch(wanted),
  'main-path': async (wanted) => (await import('./main-path.js')).benchMainPath(datasetDir, wanted.includes('cnn')),
};
const asked = process.argv.slice(2);
const wanted = asked.length > 0 ? asked : [...Object.keys(parts), 'cnn'];
for (const [name, bench] of Object.entries(parts)) if (wanted.includes(name)) await bench(wanted);

export {};
