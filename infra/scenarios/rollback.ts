import { waitForMessage, predict, promoteDespiteGate, retrain, serveFirstModel, upload } from './steps.js';
import { drawImages, type DrawnImage } from './drawn-images.js';
import { assertTrue, type Harness } from './harness.js';
import { meanOf, sendTraffic } from './traffic.js';

/**
 * A model of pictures whose labels were mixed up cannot tell anything apart. The gate refuses it, somebody promotes it
 * all the same, and the guard of its first minutes takes it back.
 */
export async function rollback(stage: Harness): Promise<string[]> {
  const { tell } = stage;
  await stage.setPolicy({
    guard: { minutes: 5, min_predictions: 20, min_confidence_ratio: 0.8, max_error_share: 0.05, max_class_share: 1 },
  });
  const good = await serveFirstModel(stage);
  const pictures = [...drawImages('bloom', 15, 1_000), ...drawImages('grass', 15, 1_000)];
  const usual = meanOf((await predict(stage, pictures)).map(({ answer }) => answer.confidence));
  tell(`${pictures.length} predictions, confidence ${usual.toFixed(3)} on average`);
  const bad = await trainBadly(stage);
  const traffic = sendTraffic(stage, pictures);
  try {
    await promoteDespiteGate(stage, bad, 'Somebody is sure that the gate is wrong.');
    tell(`version ${bad} was promoted past the gate, while predictions flow`);
    const { durationMs, predictions, meanConfidence } = await traffic.waitForRollback(bad, good);
    const seconds = (durationMs / 1000).toFixed(1);
    tell(`version ${good} answers again, ${seconds} s after the first answer of version ${bad}`);
    const { text } = await waitForMessage(stage, 'model.rollback', bad);
    tell(`message: ${text}`);
    assertTrue(traffic.failures() === 0, `no prediction fails meanwhile; ${traffic.failures()} did`);
    return [
      `version ${bad} was refused by the gate and promoted all the same`,
      `confidence fell from ${usual.toFixed(3)} to ${meanConfidence.toFixed(3)} over ${predictions} predictions, so it was rolled back by itself`,
      `${seconds} s after its first answer version ${good} answered again; no prediction failed`,
    ];
  } finally {
    await traffic.stop();
  }
}

/** Half of the pictures of each kind have the label of the other. */
async function trainBadly(stage: Harness): Promise<string> {
  const dataset = `${stage.dataset}_mixed`;
  const pictures = [...drawImages('bloom', 30), ...drawImages('grass', 30)];
  await upload(stage, dataset, pictures.map(mixLabel));
  stage.tell(`somebody has mixed up the labels in ${dataset} and trains on it`);
  const { version, outcome, summary } = await retrain(stage, dataset);
  assertTrue(outcome === 'refused', `the gate refuses version ${version} (${summary})`);
  return version;
}

function mixLabel(picture: DrawnImage, index: number): DrawnImage {
  return { ...picture, label: index % 2 === 0 ? 'dandelion' : 'grass' };
}
