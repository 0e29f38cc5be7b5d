import type { BatchPredictionStore } from '../../stores/batch-predictions/batch-predictions.js';
import type { DatasetStore } from '../../stores/datasets/datasets.js';
import type { ObjectStore } from '../../stores/objects/object-store.js';
import type { RegistryStore } from '../../stores/registry/registry.js';
import type { UploadStore } from '../../stores/datasets/uploads.js';
import type { BackgroundEngines } from './background-engines.js';

export interface BatchPredictionDependencies {
  batchPredictions: BatchPredictionStore;
  datasets: Pick<DatasetStore, 'examples' | 'imageFacts'>;
  uploads: Pick<UploadStore, 'getUpload' | 'uploadFiles' | 'markDiscarded'>;
  registry: Pick<RegistryStore, 'get'>;
  objects: ObjectStore;
  engines: BackgroundEngines;
  /** Images above this are not read. */
  maxImageBytes: number;
  /** Folder for results until they are in the object store. */
  scratchFolder: string;
}
