import type {
  AliasView,
  ModelSummaryView,
  ProductionChangeView,
  VersionComparisonView,
} from '../../contracts/registry/http-models.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { ClassRow, VersionComparison } from '../../domain/registry/compare-versions.js';
import type { ModelSummary } from '../../stores/registry/registry.js';
import type { Alias } from '../../stores/registry/aliases.js';
import type { ProductionChange } from '../../stores/registry/history.js';
import { comparisonView } from './version-view.js';

/** A model in the spelling of HTTP. */
export function modelSummaryView(model: ModelSummary): ModelSummaryView {
  return {
    name: model.name,
    versions: model.versions,
    latest_version: numberView(model.latestVersion),
    production_version: numberView(model.production),
    production_since: model.productionSince,
    created_at: model.createdAt,
  };
}

export function aliasView({ alias, version, changedAt }: Alias): AliasView {
  return { alias, version: String(version), changed_at: changedAt };
}

/** A change of Production in the spelling of HTTP. */
export function productionChangeView(move: ProductionChange): ProductionChangeView {
  return {
    at: move.at,
    until: move.until,
    version: numberView(move.version),
    instead_of: numberView(move.insteadOf),
    kind: move.kind,
    by: move.actor,
    approver: move.approver,
    reason: move.reason,
    generation: move.generation,
    workflow_id: move.workflowId,
  };
}

const measureNames: Readonly<Record<string, string>> = { rocAuc: 'roc_auc', calibrationError: 'calibration_error' };

/** Versions side by side in the spelling of HTTP. */
export function versionComparisonView(
  modelName: string,
  versions: readonly ModelVersion[],
  { sameTestSet, note, measures, perClass }: VersionComparison,
): VersionComparisonView {
  return {
    model_name: modelName,
    versions: versions.map((version) => ({
      version: String(version.version),
      semantic_version: version.semanticVersion,
      stage: version.stage,
      architecture: version.architecture,
      dataset: version.dataset,
      dataset_version: version.datasetVersion,
      test_images: version.evaluation.images,
      created_at: version.createdAt,
    })),
    same_test_set: sameTestSet,
    note,
    measures: measures.map(({ name, values, differences, best }) => ({
      name: measureNames[name] ?? name,
      values,
      differences,
      best: best.map(String),
    })),
    per_class: perClass.map(classView),
    decisions: versions.flatMap(({ version, decision }) =>
      decision?.comparison ? [{ version: String(version), comparison: comparisonView(decision.comparison) }] : [],
    ),
  };
}

function classView({ label, metrics }: ClassRow): VersionComparisonView['per_class'][number] {
  const each = (name: 'precision' | 'recall' | 'f1' | 'support'): (number | null)[] =>
    metrics.map((figures) => figures?.[name] ?? null);
  return { label, precision: each('precision'), recall: each('recall'), f1: each('f1'), support: each('support') };
}

function numberView(version: number | null): string | null {
  return version === null ? null : String(version);
}
