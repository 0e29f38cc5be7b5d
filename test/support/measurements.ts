import type { Actor } from '../../contracts/audit/audit.js';
import type { DatasetStatistics } from '../../contracts/datasets/datasets.js';
import type { IngestionResult } from '../../contracts/datasets/ingestion.js';
import type { Decision } from '../../contracts/registry/registry.js';
import type { GateDefaults } from '../../domain/promotion/gate-measures.js';
import { hyperparametersSchema, type Evaluation } from '../../contracts/training/training.js';

/** Plausible results of training and ingestion, for tests that store or display them. */

export const hyperparameters = hyperparametersSchema.parse({});

export function evaluationOf(accuracy: number): Evaluation {
  const interval: [number, number] = [Math.max(0, accuracy - 0.1), Math.min(1, accuracy + 0.1)];
  return {
    images: 20,
    loss: 1 - accuracy,
    accuracy,
    precision: accuracy,
    recall: accuracy,
    f1: accuracy,
    rocAuc: accuracy,
    calibrationError: 0.05,
    confusionMatrix: [
      [10, 0],
      [0, 10],
    ],
    perClass: ['dandelion', 'grass'].map((label) => ({
      label,
      precision: accuracy,
      recall: accuracy,
      f1: accuracy,
      support: 10,
    })),
    intervals: {
      loss: [0, 1],
      accuracy: interval,
      precision: interval,
      recall: interval,
      f1: interval,
      rocAuc: interval,
      calibrationError: [0, 0.1],
    },
  };
}

/** The rules of the promotion gate that the configuration has by default. */
export const gateDefaults: GateDefaults = {
  minAccuracy: 0.8,
  minRecall: 0.5,
  minCrossValidatedAccuracy: 0.7,
  maxP95Ms: 2_000,
};

export function decisionOf(outcome: Decision['outcome'], summary = `the gate decided ${outcome}`): Decision {
  return { outcome, summary, reasons: [], comparison: null };
}

export const statistics: DatasetStatistics = {
  images: 100,
  bytes: 1_000_000,
  classes: { dandelion: 50, grass: 50 },
  sides: {
    train: { dandelion: 35, grass: 35 },
    validation: { dandelion: 7, grass: 8 },
    test: { dandelion: 8, grass: 7 },
  },
  formats: { jpeg: 100 },
  width: { min: 200, mean: 224, max: 300 },
  height: { min: 200, mean: 224, max: 300 },
  imbalanceRatio: 1,
  duplicates: 0,
  quarantined: {},
  conflicts: 0,
  skipped: {},
  warnings: [],
};

export function ingestionResultOf(dataset: string): IngestionResult {
  return {
    dataset,
    version: 1,
    digest: 'd'.repeat(64),
    isNewVersion: true,
    files: 100,
    newImages: 100,
    uploadedBytes: 1_000_000,
    duplicates: 0,
    quarantined: 0,
    conflicts: 0,
    statistics,
    counts: { taken: 100, known: 0, quarantined: {}, conflicts: {}, skipped: {} },
    warnings: [],
    note: null,
  };
}

export const tester: Actor = { name: 'test', via: 'system', from: 'a test', requestId: null };

/** Input of a promotion without preconditions. */
export const unfenced = { by: tester, workflowId: 'w', expectedGeneration: null, approver: null };
