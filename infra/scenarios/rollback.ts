import { waitForMessage, predict, promoteDespiteGate, retrain, serveFirstModel, upload } from './steps.js';
import { drawImages, type DrawnImage } from '../images/drawn-images.js';
import { expectThat, type Harness } from './harness.js';
import { meanOf, sendTraffic } from './traffic.js';

/**
 * A model trained on shuffled labels cannot tell the classes apart. The promotion gate refuses it, an operator promotes it
 * anyway, and the promotion guard rolls it back within minutes.
 */
export async function rollback(harness: Harness): Promise<string[]> {
  const { report } = harness;
  await harness.setPolicy({
    guard: { minutes: 5, min_predictions: 20, min_confidence_ratio: 0.8, max_error_share: 0.05, max_class_share: 1 },
  });
  const good = await serveFirstModel(harness);
  const images = [...drawImages('bloom', 15, 1_000), ...drawImages('grass', 15, 1_000)];
  const usual = meanOf((await predict(harness, images)).map(({ answer }) => answer.confidence));
  report(`${images.length} predictions, mean confidence ${usual.toFixed(3)}`);
  const bad = await trainBadly(harness);
  const traffic = sendTraffic(harness, images);
  try {
    await promoteDespiteGate(harness, bad, 'The operator believes that the promotion gate is wrong.');
    report(`version ${bad} was promoted despite the promotion gate, under a constant load of predictions`);
    const { durationMs, predictions, meanConfidence } = await traffic.waitForRollback(bad, good);
    const seconds = (durationMs / 1000).toFixed(1);
    report(`version ${good} answers again, ${seconds} s after the first prediction of version ${bad}`);
    const { text } = await waitForMessage(harness, 'model.rollback', bad);
    report(`notification: ${text}`);
    expectThat(traffic.failures() === 0, `no prediction fails during the rollback; ${traffic.failures()} did`);
    return [
      `the promotion gate refused version ${bad}; it was promoted with an override`,
      `mean confidence fell from ${usual.toFixed(3)} to ${meanConfidence.toFixed(3)} over ${predictions} predictions, so the promotion guard rolled it back`,
      `version ${good} answered again ${seconds} s after the first prediction of version ${bad}; no prediction failed`,
    ];
  } finally {
    await traffic.stop();
  }
}

/** Trains on a dataset in which half of the images of each class carry the other label. */
async function trainBadly(harness: Harness): Promise<string> {
  const dataset = `${harness.dataset}_mixed`;
  const images = [...drawImages('bloom', 30), ...drawImages('grass', 30)];
  await upload(harness, dataset, images.map(mixLabel));
  harness.report(`dataset ${dataset} has shuffled labels; a retraining on it starts`);
  const { version, outcome, summary } = await retrain(harness, dataset);
  expectThat(outcome === 'refused', `the promotion gate refuses version ${version} (${summary})`);
  return version;
}

function mixLabel(image: DrawnImage, index: number): DrawnImage {
  return { ...image, label: index % 2 === 0 ? 'dandelion' : 'grass' };
}
