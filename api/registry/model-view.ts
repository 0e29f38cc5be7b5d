import { toSnake } from '../../contracts/http/snake-shape.js';
import {
  aliasViewSchema,
  modelSummaryViewSchema,
  productionChangeViewSchema,
  versionComparisonSchema,
  type AliasView,
  type ModelSummaryView,
  type ProductionChangeView,
  type VersionComparisonView,
} from '../../contracts/registry/http-models.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { ClassRow, VersionComparison } from '../../domain/registry/compare-versions.js';
import type { ModelSummary } from '../../stores/registry/registry.js';
import type { Alias } from '../../stores/registry/aliases.js';
import type { ProductionChange } from '../../stores/registry/history.js';

/** A model as JSON. */
export function modelSummaryView(model: ModelSummary): ModelSummaryView {
  return toSnake(modelSummaryViewSchema, { ...model, productionVersion: model.production });
}

export function aliasView(alias: Alias): AliasView {
  return toSnake(aliasViewSchema, alias);
}

/** A change of Production as JSON. */
export function productionChangeView(move: ProductionChange): ProductionChangeView {
  return toSnake(productionChangeViewSchema, { ...move, by: move.actor });
}

const measureNames: Readonly<Record<string, string>> = { rocAuc: 'roc_auc', calibrationError: 'calibration_error' };

/** Versions side by side, as JSON. */
export function versionComparisonView(
  modelName: string,
  versions: readonly ModelVersion[],
  comparison: VersionComparison,
): VersionComparisonView {
  return toSnake(versionComparisonSchema, {
    ...comparison,
    modelName,
    versions: versions.map((version) => ({ ...version, testImages: version.evaluation.images })),
    measures: comparison.measures.map((measure) => ({ ...measure, name: measureNames[measure.name] ?? measure.name })),
    perClass: comparison.perClass.map(classView),
    decisions: versions.flatMap(({ version, decision }) =>
      decision?.comparison ? [{ version, comparison: decision.comparison }] : [],
    ),
  });
}

function classView({ label, metrics }: ClassRow): VersionComparisonView['per_class'][number] {
  const each = (name: 'precision' | 'recall' | 'f1' | 'support'): (number | null)[] =>
    metrics.map((figures) => figures?.[name] ?? null);
  return { label, precision: each('precision'), recall: each('recall'), f1: each('f1'), support: each('support') };
}
