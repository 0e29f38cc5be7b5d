import { toSnake, type CamelInput } from '../../contracts/http/snake-shape.js';
import type { Calibration, Quantization } from '../../contracts/registry/bundle.js';
import {
  type abstentionViewSchema,
  calibrationViewSchema,
  type CalibrationView,
} from '../../contracts/registry/http-calibration.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { Abstention } from '../../domain/predictions/abstention.js';

/** The fields of an abstention view, with camelCase names. */
export function abstentionOf({ threshold, reason, ...same }: Abstention): CamelInput<typeof abstentionViewSchema> {
  return { ...same, abstainBelow: threshold, note: reason };
}

export function calibrationView(
  { modelName, version }: ModelVersion,
  calibration: Calibration,
  { quantization, abstention }: { quantization: Quantization | null; abstention: Abstention },
): CalibrationView {
  const { test, uncalibratedTest } = calibration;
  return toSnake(calibrationViewSchema, {
    ...calibration,
    modelName,
    modelVersion: version,
    calibrationError: test.calibrationError,
    uncalibratedCalibrationError: uncalibratedTest.calibrationError,
    reliability: calibration,
    abstention: abstentionOf(abstention),
    quantization,
    reliabilityDiagramUrl: `/api/v1/mlops/models/${modelName}/versions/${version}/calibration/reliability.svg`,
  });
}
