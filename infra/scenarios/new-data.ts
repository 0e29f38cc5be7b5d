import { check, endOfRetraining, letItLook, predict, serveFirstModel, upload } from './acts.js';
import { drawPictures } from './meadow.js';
import { must, type Stage } from './stage.js';

/** People add pictures; continuous training counts them and trains. Whether that made a better model, the gate says. */
export async function newData(stage: Stage): Promise<string[]> {
  const { tell, dataset } = stage;
  await stage.setPolicy({
    retraining: { new_images: 30, new_share: 0.2, cool_down_minutes: 0, min_feedback: 1_000_000 },
    guard: { minutes: 0 },
  });
  const first = await serveFirstModel(stage);
  const calm = await check(stage);
  must(!calm.should_retrain, `nothing is to be done before there are new pictures (${calm.reason})`);

  const pictures = [...drawPictures('buds', 24), ...drawPictures('grass', 16, 500)];
  const { version: datasetVersion, statistics } = await upload(stage, dataset, pictures);
  tell(
    `${pictures.length} new pictures make version ${datasetVersion} of ${dataset}, with ${statistics.images} in all`,
  );
  const { should_retrain: isNeeded, decision: advice, reason, reasons } = await check(stage);
  tell(`check: ${advice}. ${reason}`);
  const fired = (name: string): boolean => reasons.some((each) => each.check === name && each.fired);
  must(
    isNeeded && fired('new_images') && fired('new_share'),
    'the check names the count and the share of new pictures',
  );

  const { decision, trigger, run, metrics, reason: why } = await letItLook(stage);
  must(decision === 'retrain' && trigger === 'new_data' && run !== null, `continuous training starts (${why})`);
  tell(`continuous training has found them and started run ${run.run_id}`);
  const { outcome, version, decision: gate } = await endOfRetraining(stage, run.run_id);
  must(outcome === 'promoted' || outcome === 'refused', `the gate promotes or refuses the new version (${outcome})`);
  const refusals = gate.reasons.filter(({ passed }) => !passed);
  must(outcome === 'promoted' || refusals.length > 0, 'a refusal has its reasons');
  const serving = outcome === 'promoted' ? version : first;
  const [seen] = await predict(stage, pictures.slice(0, 1));
  must(seen?.answer.model_version === serving, `version ${serving} answers`);
  return [
    `${metrics.new_images} new pictures, ${(metrics.new_share * 100).toFixed(0)} % of all, started a retraining by themselves`,
    `version ${version} was ${outcome}. The gate said: ${gate.summary}`,
    `version ${serving} answered`,
  ];
}
