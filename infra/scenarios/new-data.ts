import {
  checkRetraining,
  waitForRetraining,
  runContinuousTraining,
  predict,
  serveFirstModel,
  upload,
} from './steps.js';
import { drawImages } from './drawn-images.js';
import { assertTrue, type Harness } from './harness.js';

/** People add pictures; continuous training counts them and trains. Whether that made a better model, the gate says. */
export async function newData(stage: Harness): Promise<string[]> {
  const { tell, dataset } = stage;
  await stage.setPolicy({
    retraining: { new_images: 30, new_share: 0.2, cool_down_minutes: 0, min_feedback: 1_000_000 },
    guard: { minutes: 0 },
  });
  const first = await serveFirstModel(stage);
  const calm = await checkRetraining(stage);
  assertTrue(!calm.should_retrain, `nothing is to be done before there are new pictures (${calm.reason})`);

  const pictures = [...drawImages('buds', 24), ...drawImages('grass', 16, 500)];
  const { version: datasetVersion, statistics } = await upload(stage, dataset, pictures);
  tell(
    `${pictures.length} new pictures make version ${datasetVersion} of ${dataset}, with ${statistics.images} in all`,
  );
  const { should_retrain: isNeeded, decision: advice, reason, reasons } = await checkRetraining(stage);
  tell(`check: ${advice}. ${reason}`);
  const fired = (name: string): boolean => reasons.some((each) => each.check === name && each.fired);
  assertTrue(
    isNeeded && fired('new_images') && fired('new_share'),
    'the check names the count and the share of new pictures',
  );

  const { decision, trigger, run, metrics, reason: why } = await runContinuousTraining(stage);
  assertTrue(decision === 'retrain' && trigger === 'new_data' && run !== null, `continuous training starts (${why})`);
  tell(`continuous training has found them and started run ${run.run_id}`);
  const { outcome, version, decision: gate } = await waitForRetraining(stage, run.run_id);
  assertTrue(
    outcome === 'promoted' || outcome === 'refused',
    `the gate promotes or refuses the new version (${outcome})`,
  );
  const refusals = gate.reasons.filter(({ passed }) => !passed);
  assertTrue(outcome === 'promoted' || refusals.length > 0, 'a refusal has its reasons');
  const serving = outcome === 'promoted' ? version : first;
  const [seen] = await predict(stage, pictures.slice(0, 1));
  assertTrue(seen?.answer.model_version === serving, `version ${serving} answers`);
  return [
    `${metrics.new_images} new pictures, ${(metrics.new_share * 100).toFixed(0)} % of all, started a retraining by themselves`,
    `version ${version} was ${outcome}. The gate said: ${gate.summary}`,
    `version ${serving} answered`,
  ];
}
