/** Everything the pipeline worker runs; the entry of the workflow bundle. */
export { applyRetention } from './apply-retention.js';
export { batchPredict } from './batch-predict.js';
export { guardPromotion } from './guard-promotion.js';
export { importModel } from './import-model.js';
export { ingestDataset } from './ingest-dataset.js';
export { promoteModel } from './promote-model.js';
export { requestRetraining } from './request-retraining.js';
export { retrainingPipeline } from './retraining-pipeline.js';
export { runTrial } from './run-trial.js';
export { trainModel } from './train-model.js';
export { tuneModel } from './tune-model.js';
export { validateModel } from './validate-model.js';
