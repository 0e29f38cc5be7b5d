/** Everything the pipeline worker runs; the entry of the workflow bundle. */
export { ingestDataset } from './ingest-dataset.js';
export { promoteModel } from './promote-model.js';
export { retrainingPipeline } from './retraining-pipeline.js';
export { trainModel } from './train-model.js';
export { validateModel } from './validate-model.js';
