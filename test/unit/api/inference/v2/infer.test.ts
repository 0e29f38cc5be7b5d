import { predictInput } from '../../../../../api/inference/v2/infer.js';
import type { Predicted, Predictor } from '../../../../../api/inference/predictor.js';
import { fakeEngine, predictionOf, servedOf } from '../../../../support/fake-model.js';

it('answers all files of a request with one version, also when the version changes meanwhile', async () => {
  let asked = 0;
  const predicted = (version: number): Predicted => ({
    served: servedOf(fakeEngine(), version),
    prediction: predictionOf(version === 7 ? [0.75, 0.25] : [0.5, 0.25, 0.25]),
    abstained: false,
    predictionId: `prediction ${asked}`,
    latencyMs: 1,
  });
  const never = (): never => {
    throw new Error('not used');
  };
  const predictor: Predictor = {
    served: never,
    admit: never,
    pixels: never,
    explain: never,
    image: () => Promise.resolve(predicted((asked += 1) <= 4 ? 7 : 8)),
  };
  const files = Array.from({ length: 6 }, (_, index) => Uint8Array.of(index));
  const answers = await predictInput(predictor, { kind: 'files', files }, { route: 'v2' });
  expect(answers.map(({ served }) => served.version.version)).toEqual([8, 8, 8, 8, 8, 8]);
  expect(asked).toBe(12);
});
