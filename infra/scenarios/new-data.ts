import {
  checkRetraining,
  waitForRetraining,
  runContinuousTraining,
  predict,
  serveFirstModel,
  upload,
} from './steps.js';
import { drawImages } from '../images/drawn-images.js';
import { expectThat, type Harness } from './harness.js';

/** New images arrive, continuous training counts them and retrains, and the promotion gate decides on the new version. */
export async function newData(harness: Harness): Promise<string[]> {
  const { report, dataset } = harness;
  await harness.setPolicy({
    retraining: { new_images: 30, new_share: 0.2, cool_down_minutes: 0, min_feedback: 1_000_000 },
    guard: { minutes: 0 },
  });
  const first = await serveFirstModel(harness);
  const calm = await checkRetraining(harness);
  expectThat(!calm.should_retrain, `the check asks for no retraining without new images (${calm.reason})`);

  const images = [...drawImages('buds', 24), ...drawImages('grass', 16, 500)];
  const { version: datasetVersion, statistics } = await upload(harness, dataset, images);
  report(
    `${images.length} new images were added: version ${datasetVersion} of ${dataset} has ${statistics.images} images`,
  );
  const { should_retrain: isNeeded, decision: advice, reason, reasons } = await checkRetraining(harness);
  report(`check: ${advice}. ${reason}`);
  const fired = (name: string): boolean => reasons.some((each) => each.check === name && each.fired);
  expectThat(
    isNeeded && fired('new_images') && fired('new_share'),
    'the check asks for a retraining because of the number and the share of new images',
  );

  const { decision, trigger, run, metrics, reason: why } = await runContinuousTraining(harness);
  expectThat(
    decision === 'retrain' && trigger === 'new_data' && run !== null,
    `continuous training starts a retraining (${why})`,
  );
  report(`continuous training found them and started retraining ${run.run_id}`);
  const { outcome, version, decision: gate } = await waitForRetraining(harness, run.run_id);
  expectThat(
    outcome === 'promoted' || outcome === 'refused',
    `the promotion gate promotes or refuses the new version (${outcome})`,
  );
  const refusals = gate.reasons.filter(({ passed }) => !passed);
  expectThat(outcome === 'promoted' || refusals.length > 0, 'a refusal has reasons');
  const serving = outcome === 'promoted' ? version : first;
  const [seen] = await predict(harness, images.slice(0, 1));
  expectThat(seen?.answer.model_version === serving, `version ${serving} answers`);
  return [
    `continuous training started a retraining because of ${metrics.new_images} new images, ${(metrics.new_share * 100).toFixed(0)} % of the dataset`,
    `version ${version} was ${outcome}. Decision of the promotion gate: ${gate.summary}`,
    `version ${serving} answers predictions`,
  ];
}
