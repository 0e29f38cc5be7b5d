import { z } from 'zod';
import { parseFilter, parseOrder } from '../../../../domain/experiments/filter-language.js';
import { createExperimentStore, type ExperimentStore } from '../../../../stores/experiments/experiments.js';
import type { NewRun } from '../../../../stores/experiments/runs.js';
import { commitImages } from '../../../support/dataset-version.js';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.js';
import { findRuns, makeRun as writeRun, type Made } from '../../../support/runs.js';

let records: TestDatabase;
let experiments: ExperimentStore;
beforeAll(async () => {
  records = await startTestDatabase();
  experiments = createExperimentStore(records.db);
  await commitImages(records.db, 'flowers', { a: [1, 2, 3], b: [4, 5, 6] });
});
afterAll(() => records.stop());

const makeRun = (run: Partial<NewRun>, made?: Made): Promise<string> => writeRun(records.db, run, made);
const find = (experiment: string, filter: string | null, order?: string): Promise<string[]> =>
  findRuns(records.db, experiment, filter, order);

describe('the search for runs', () => {
  beforeAll(async () => {
    const experiment = 'searched';
    await makeRun({ experiment, name: 'a', tags: { team: 'x' } }, { accuracy: 0.9, losses: [0.7, 0.3] });
    await makeRun(
      { experiment, name: 'b', tags: { team: 'y' } },
      { accuracy: 0.95, parameters: { architecture: 'cnn' } },
    );
    await makeRun({ experiment, name: 'c' }, { status: 'failed', losses: [2], parameters: { classWeights: false } });
    await makeRun({ experiment, name: 'd', tags: { team: "o'x", 'a b`.c': '1' } });
  });

  it.each([
    ['metrics.accuracy >= 0.9', ['a', 'b']],
    ['metrics.accuracy > 0.9', ['b']],
    ['metrics.accuracy = 0.90', ['a']],
    ['metrics.accuracy != 0.9', ['b', 'c', 'd']],
    ['not metrics.accuracy > 0.9', ['a', 'c', 'd']],
    ['metrics.validation_loss < 1', ['a']],
    ['metrics.validation_loss in (2, 0.3)', ['a', 'c']],
    ["params.architecture = 'cnn'", ['b']],
    ["params.architecture not in ('cnn', 'x')", ['a', 'c', 'd']],
    ['params.batch_size = 32 and params.learning_rate < 0.01', ['a', 'b', 'c', 'd']],
    ['params.architecture < 3', []],
    ['params.class_weights = false', ['c']],
    ["tags.team != 'x'", ['b', 'c', 'd']],
    ["tags.team = 'o''x' and tags.`a b``.c` = '1'", ['d']],
    ["status in ('completed', 'failed')", ['a', 'b', 'c']],
    ["(tags.team = 'x' or tags.team = 'y') and metrics.accuracy < 0.93", ['a']],
    ["error_code = 'trainer_died'", ['c']],
    ["started_at > '2026-01-01' and started_at < '2020-01-01'", []],
    ["started_at >= '2020-01-01' and ended_at > '2020-01-01T00:00:00+02:00'", ['a', 'b', 'c']],
    ['duration_seconds < 60', ['a', 'b', 'c']],
    ["model_name = 'rose' and dataset_version in (1, 2) and kind = 'training'", ['a', 'b', 'c', 'd']],
    ["tags.team = 'x''; DROP TABLE runs; --'", []],
    ["tags.`') OR true --` = 'x'", []],
  ])('finds by %s', async (filter, names) => {
    expect(await find('searched', filter)).toEqual(names);
  });

  it.each([
    ['metrics.accuracy desc', ['b', 'a', 'd', 'c']],
    ['metrics.accuracy, name', ['a', 'b', 'c', 'd']],
    ['tags.team desc, name', ['b', 'a', 'd', 'c']],
    ['params.architecture, name desc', ['b', 'd', 'c', 'a']],
    ['started_at', ['a', 'b', 'c', 'd']],
    ['ended_at desc', ['c', 'b', 'a', 'd']],
    ['status, metrics.loss desc', ['a', 'b', 'c', 'd']],
  ])('sorts by %s, runs without the field last', async (order, names) => {
    expect(await find('searched', null, order)).toEqual(names);
  });

  it('gives pages that neither skip nor repeat, in every order, while runs are added', async () => {
    const accuracies = [0.5, undefined, 0.9, 0.9, undefined, 1 / 3, 0.9, 0.1 + 0.2];
    for (const [index, accuracy] of accuracies.entries()) {
      const tags = index % 3 === 0 ? {} : { team: String(index % 2) };
      await makeRun({ experiment: 'paged', name: `run-${index}`, tags }, accuracy === undefined ? {} : { accuracy });
    }
    const orders = [
      '',
      'metrics.accuracy desc',
      'metrics.accuracy',
      'tags.team desc, metrics.accuracy',
      'ended_at, name',
    ];
    for (const text of [...orders, 'started_at desc', 'params.epochs, duration_seconds desc', 'dataset_version']) {
      const order = text === '' ? [] : parseOrder(text);
      const filter = parseFilter("name != 'late'");
      const whole = await experiments.searchRuns({ experiment: 'paged', filter, order, limit: 100 });
      const seen: string[] = [];
      let pageToken: string | null = null;
      do {
        const page = await experiments.searchRuns({ experiment: 'paged', filter, order, limit: 3, pageToken });
        seen.push(...page.items.map(({ name }) => name));
        pageToken = page.nextPageToken;
        await makeRun({ experiment: 'paged', name: 'late' });
      } while (pageToken !== null);
      expect(seen).toEqual(whole.items.map(({ name }) => name));
      expect(seen).toHaveLength(accuracies.length);
    }
  });

  it('refuses a page token that it did not issue for this order', async () => {
    const order = parseOrder('tags.team, started_at');
    const { nextPageToken } = await experiments.searchRuns({ experiment: 'searched', filter: null, order, limit: 1 });
    const [digest] = z.array(z.unknown()).parse(JSON.parse(Buffer.from(nextPageToken ?? '', 'base64url').toString()));
    const forge = (...values: unknown[]): string =>
      Buffer.from(JSON.stringify([digest, ...values])).toString('base64url');
    const time = '2026-01-01T00:00:00+00:00';
    const ask = (pageToken: string, by = order): Promise<unknown> =>
      experiments.searchRuns({ experiment: 'searched', filter: null, order: by, limit: 1, pageToken });
    await ask(forge('x', time, 3));
    const bad = [
      '',
      'rubbish',
      '%%%',
      Buffer.from('{}').toString('base64url'),
      forge(),
      forge('x', time),
      forge('x', time, 3, 4),
    ];
    const wrong = [
      forge(1, time, 3),
      forge('\0', time, 3),
      forge('x', '2026-99-01', 3),
      forge('x', time, -1),
      forge('x', time, 1.5),
    ];
    for (const token of [...bad, ...wrong, forge('\ud800', time, 3)]) {
      await expect(ask(token)).rejects.toMatchObject({ code: 'bad_request' });
    }
    await expect(ask(nextPageToken ?? '', [])).rejects.toMatchObject({ code: 'bad_request' });
  });
});
