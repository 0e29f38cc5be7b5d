import { z } from 'zod';
import { startProduct, type RunningProduct } from '../support/running-product.js';
import { imagesBelow } from './images-below.js';
import { printTable, timed, type Figure } from './table.js';

const versionsSchema = z.object({ items: z.array(z.object({ version: z.string(), stage: z.string() })) });
const rollbackSchema = z.object({ version: z.string(), duration_ms: z.number() });
const predictionSchema = z.object({ model_version: z.string() });
const rounds = 10;
const models = '/api/v1/mlops/models';

/** How long a promotion and a rollback take on the running product, until the version answers over HTTP. */
export async function benchPromotion(datasetDir: string): Promise<void> {
  const product = await startProduct({ DATASET_DIR: datasetDir });
  try {
    await product.served();
    await product.settled();
    const image = imagesBelow(datasetDir)[0] ?? '';
    const name = await modelName(product);
    await product.api.ended((await product.api.startRetraining({ hyperparameters: { seed: 7 } })).run_id);
    printTable('Changes of Production', await measure(product, name, image));
  } finally {
    await product.stop();
  }
}

async function measure(product: RunningProduct, name: string, image: string): Promise<Figure[]> {
  const [promotions, rollbacks, roundTrips]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round += 1) {
    const candidate = await inStaging(product, name);
    const body = { model_name: name, version: candidate, reason: 'bench', override: true };
    const [, promotionMs] = await timed(() => send(product, `${models}/promote`, body));
    promotions.push(promotionMs);
    await expectAnswer(product, image, candidate);
    const [, roundTripMs] = await timed(async () => {
      const answer = rollbackSchema.parse(await send(product, `${models}/${name}/rollback`, { reason: 'bench' }));
      rollbacks.push(answer.duration_ms);
      await expectAnswer(product, image, answer.version);
    });
    roundTrips.push(roundTripMs);
  }
  return [
    { what: `promotion over HTTP until every replica answers, ${rounds} times`, value: spread(promotions) },
    { what: 'rollback until every replica serves the former version', value: spread(rollbacks), target: '< 1 s' },
    { what: 'rollback request to the first answer of the former version', value: spread(roundTrips), target: '< 1 s' },
  ];
}

/** Moves the version that is not in Production to Staging, where it can be promoted from. */
async function inStaging(product: RunningProduct, name: string): Promise<string> {
  const { items } = versionsSchema.parse((await product.api.get(`${models}/${name}/versions`)).body);
  const other = items.find(({ stage }) => stage !== 'Production');
  if (!other) throw new Error('there is no second version');
  if (other.stage !== 'Staging') {
    await send(product, `${models}/${name}/versions/${other.version}/stage`, { stage: 'Staging', reason: 'bench' });
  }
  return other.version;
}

async function expectAnswer(product: RunningProduct, image: string, version: string): Promise<void> {
  const { model_version: answered } = predictionSchema.parse((await product.api.predict(image)).body);
  if (answered !== version) throw new Error(`version ${answered} answered in place of ${version}`);
}

async function send(product: RunningProduct, path: string, body: object): Promise<unknown> {
  const { status, body: answer } = await product.api.post(path, body);
  if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(answer)}`);
  return answer;
}

async function modelName(product: RunningProduct): Promise<string> {
  return z.object({ model_name: z.string() }).parse((await product.api.get('/model/info')).body).model_name;
}

function spread(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.round(share * (sorted.length - 1))] ?? NaN).toFixed(0);
  return `${at(0.5)} ms median (${at(0)} to ${at(1)})`;
}
