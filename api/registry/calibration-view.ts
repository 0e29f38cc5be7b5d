import type { Calibration, Quantization } from '../../contracts/registry/bundle.js';
import {
  quantizationView,
  reliabilityView,
  type AbstentionView,
  type CalibrationView,
} from '../../contracts/registry/http-calibration.js';
import type { ModelVersion } from '../../contracts/registry/registry.js';
import type { Abstention } from '../../domain/predictions/abstention.js';

export function abstentionView({ targetRisk, threshold, coverage, riskBound, reason }: Abstention): AbstentionView {
  return { target_risk: targetRisk, abstain_below: threshold, coverage, risk_bound: riskBound, note: reason };
}

export function calibrationView(
  { modelName, version }: ModelVersion,
  calibration: Calibration,
  { quantization, abstention }: { quantization: Quantization | null; abstention: Abstention },
): CalibrationView {
  const { temperature, validation, test, uncalibratedTest, riskImages, riskCurve } = calibration;
  return {
    model_name: modelName,
    model_version: String(version),
    temperature,
    calibration_error: test.calibrationError,
    uncalibrated_calibration_error: uncalibratedTest.calibrationError,
    reliability: {
      validation: reliabilityView(validation),
      test: reliabilityView(test),
      uncalibrated_test: reliabilityView(uncalibratedTest),
    },
    risk_images: riskImages,
    risk_curve: riskCurve,
    abstention: abstentionView(abstention),
    quantization: quantization && quantizationView(quantization),
    reliability_diagram_url: `/api/v1/mlops/models/${modelName}/versions/${version}/calibration/reliability.svg`,
  };
}
