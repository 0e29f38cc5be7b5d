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
import { drawImages } from './drawn-images.js';
import { assertTrue, type Harness } from './harness.js';

/**
 * Another season: dandelions are in bud, which a model that knows them by their flowers takes for grass. Feedback says so,
 * accuracy in production falls, an alert goes out, and continuous training makes a model that knows both.
 */
export async function degradation(stage: Harness): Promise<string[]> {
  const { tell, modelName } = stage;
  await stage.setPolicy({
    // Only accuracy in production is to start a retraining here, and at once.
    retraining: { min_accuracy: 0.85, min_feedback: 20, new_images: 1_000_000, new_share: 1, cool_down_minutes: 0 },
    guard: { minutes: 0 },
  });
  const first = await serveFirstModel(stage);
  const inBloom = await predict(stage, [...drawImages('bloom', 12, 1_000), ...drawImages('grass', 12, 1_000)]);
  await sendFeedback(stage, inBloom);
  tell(`in bloom: ${countCorrect(inBloom)} of ${inBloom.length} predictions are right, as feedback says`);
  const calm = await checkRetraining(stage);
  assertTrue(!calm.should_retrain, `nothing is to be done while predictions are right (${calm.reason})`);

  const buds = drawImages('buds', 30);
  const inBud = await predict(stage, buds);
  await sendFeedback(stage, inBud);
  tell(`another season, in bud: ${countCorrect(inBud)} of ${inBud.length} are right`);
  const worse = await checkRetraining(stage);
  const fallen = worse.reasons.find(({ check: name, fired }) => name === 'minimum_accuracy' && fired);
  assertTrue(worse.should_retrain && fallen !== undefined, `the check asks for a retraining (${worse.reason})`);
  tell(`check: ${worse.decision}. ${fallen.detail}`);

  await upload(stage, stage.dataset, buds);
  tell('the pictures that were labelled are in the dataset now');
  const unseen = drawImages('buds', 20, 2_000);
  const before = countCorrect(await predict(stage, unseen));
  const { decision, trigger, run, reason } = await runContinuousTraining(stage);
  assertTrue(
    decision === 'retrain' && trigger === 'performance' && run !== null,
    `continuous training starts (${reason})`,
  );
  const alert = await waitForMessage(stage, 'model.degraded', first);
  tell(`alert: ${alert.subject}. Run ${run.run_id} was started`);
  const retrained = await waitForRetraining(stage, run.run_id);
  assertTrue(retrained.outcome === 'promoted', `the new version is promoted (${retrained.summary})`);
  const answers = await predict(stage, unseen);
  const after = countCorrect(answers);
  assertTrue(
    answers.every(({ answer }) => answer.model_version === retrained.version),
    'the new version answers',
  );
  assertTrue(after > before, `it knows more pictures of buds that nobody had shown it: ${before}, then ${after} of 20`);
  return [
    `accuracy in production of version ${first} fell to ${percent(fallen.figure ?? 0)}; ${percent(fallen.threshold ?? 0)} are asked for`,
    `an alert was sent and a retraining started by itself, because of performance`,
    `version ${retrained.version} of ${modelName} took its place: ${after} of 20 unseen pictures of buds are right, ${before} were before`,
  ];
}
