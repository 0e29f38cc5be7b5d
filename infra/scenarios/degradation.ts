import {
  checkRetraining,
  waitForRetraining,
  sendFeedback,
  runContinuousTraining,
  waitForMessage,
  percent,
  predict,
  countCorrect,
  serveFirstModel,
  upload,
} from './steps.js';
import { drawImages } from '../images/drawn-images.js';
import { expectThat, type Harness } from './harness.js';

/**
 * The season changes: dandelions are in bud, and a model trained on open flowers takes them for grass. Feedback lowers the
 * accuracy in production, an alert is sent, and continuous training puts a model into Production that knows both.
 */
export async function degradation(harness: Harness): Promise<string[]> {
  const { report, modelName } = harness;
  await harness.setPolicy({
    // Only accuracy in production may start a retraining here, and without a cool-down.
    retraining: { min_accuracy: 0.85, min_feedback: 20, new_images: 1_000_000, new_share: 1, cool_down_minutes: 0 },
    guard: { minutes: 0 },
  });
  const first = await serveFirstModel(harness);
  const inBloom = await predict(harness, [...drawImages('bloom', 12, 1_000), ...drawImages('grass', 12, 1_000)]);
  await sendFeedback(harness, inBloom);
  report(`in bloom: ${countCorrect(inBloom)} of ${inBloom.length} predictions are right; feedback was sent`);
  const calm = await checkRetraining(harness);
  expectThat(!calm.should_retrain, `the check asks for no retraining while predictions are right (${calm.reason})`);

  const buds = drawImages('buds', 30);
  const inBud = await predict(harness, buds);
  await sendFeedback(harness, inBud);
  report(`new season, in bud: ${countCorrect(inBud)} of ${inBud.length} predictions are right; feedback was sent`);
  const worse = await checkRetraining(harness);
  const fallen = worse.reasons.find(({ check: name, fired }) => name === 'minimum_accuracy' && fired);
  expectThat(worse.should_retrain && fallen !== undefined, `the check asks for a retraining (${worse.reason})`);
  report(`check: ${worse.decision}. ${fallen.detail}`);

  await upload(harness, harness.dataset, buds);
  report('the labelled images were added to the dataset');
  const unseen = drawImages('buds', 20, 2_000);
  const before = countCorrect(await predict(harness, unseen));
  const { decision, trigger, run, reason } = await runContinuousTraining(harness);
  expectThat(
    decision === 'retrain' && trigger === 'performance' && run !== null,
    `continuous training starts a retraining (${reason})`,
  );
  const alert = await waitForMessage(harness, 'model.degraded', first);
  report(`alert: ${alert.subject}. Retraining ${run.run_id} was started`);
  const retrained = await waitForRetraining(harness, run.run_id);
  expectThat(retrained.outcome === 'promoted', `the new version is promoted (${retrained.summary})`);
  const answers = await predict(harness, unseen);
  const after = countCorrect(answers);
  expectThat(
    answers.every(({ answer }) => answer.model_version === retrained.version),
    'the new version answers',
  );
  expectThat(
    after > before,
    `the new version classifies more unseen images of buds correctly: ${before} before, ${after} after, of 20`,
  );
  return [
    `accuracy in production of version ${first} fell to ${percent(fallen.figure ?? 0)}; the required minimum is ${percent(fallen.threshold ?? 0)}`,
    'an alert was sent, and continuous training started a retraining because of performance',
    `version ${retrained.version} of ${modelName} replaced it: ${after} of 20 unseen images of buds are classified correctly, ${before} were before`,
  ];
}
