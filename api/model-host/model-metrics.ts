import { Gauge, type Registry } from 'prom-client';
import type { ServedModel } from './served-model.js';

export interface ModelMetrics {
  showModel(served: ServedModel | null): void;
}

export function createModelMetrics(registry: Registry, queueLength: () => number): ModelMetrics['showModel'] {
  const registers = [registry];
  const labelNames = ['model_name', 'model_version', 'architecture', 'dataset', 'dataset_version'] as const;
  const info = new Gauge({ name: 'model_info', help: 'The model being served', labelNames, registers });
  const accuracy = new Gauge({
    name: 'model_accuracy',
    help: 'Accuracy of the served model on its test images',
    labelNames: ['model_name', 'model_version'],
    registers,
  });
  new Gauge({
    name: 'mlops_queue_items',
    help: 'Predictions that wait for a thread',
    registers,
    collect() {
      this.set(queueLength());
    },
  });
  return (served) => {
    info.reset();
    accuracy.reset();
    if (!served) return;
    const { modelName, version, architecture, dataset, datasetVersion, evaluation } = served.version;
    const model = { model_name: modelName, model_version: String(version) };
    info.set({ ...model, architecture, dataset, dataset_version: String(datasetVersion) }, 1);
    accuracy.set(model, evaluation.accuracy);
  };
}
