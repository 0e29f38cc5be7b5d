import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createPredictionJournal,
  type PredictionJournal,
} from '../../../../../api/predictions/log/prediction-journal.js';
import {
  createPredictionLog,
  type PredictionFacts,
  type PredictionLog,
} from '../../../../../api/predictions/log/prediction-log.js';
import { PerennialError } from '../../../../../contracts/errors.js';
import type { PredictionRecord } from '../../../../../contracts/predictions/predictions.js';
import { createLogger } from '../../../../../platform/logging.js';
import { poll } from '../../../../support/api-client.js';
import { fakeEngine, predictionOf, servedOf } from '../../../../support/fake-model.js';
import { withFolder } from '../../../../support/training-fixtures.js';

const served = { ...servedOf(fakeEngine(), 3), generation: 7 };
const facts: PredictionFacts = {
  prediction: predictionOf([0.2, 0.8]),
  abstained: false,
  imageSha256: null,
  latencyMs: 5,
  route: 'predict',
};

/** A fake Postgres that can be unavailable, or refuse a row. */
function fakePostgres(): {
  rows: Map<string, PredictionRecord>;
  calls: number[];
  isAway: boolean;
  refused: Set<string>;
  add(predictions: readonly PredictionRecord[]): Promise<void>;
} {
  return {
    rows: new Map(),
    calls: [],
    isAway: false,
    refused: new Set(),
    add(predictions) {
      if (this.isAway) return Promise.reject(new PerennialError('database_unavailable', 'away'));
      if (predictions.some(({ id }) => this.refused.has(id))) {
        return Promise.reject(Object.assign(new Error('value too long'), { code: '22001' }));
      }
      this.calls.push(predictions.length);
      for (const each of predictions) this.rows.set(each.id, each);
      return Promise.resolve();
    },
  };
}

interface LogFixture {
  postgres: ReturnType<typeof fakePostgres>;
  log: PredictionLog;
  dropped: () => number;
}

function logIn(folder: string, journal: Partial<PredictionJournal> = {}): LogFixture {
  const postgres = fakePostgres();
  let dropped = 0;
  const log = createPredictionLog({
    replica: 'here',
    predictions: { add: (rows) => postgres.add(rows) },
    journal: { ...createPredictionJournal(folder, () => Promise.resolve()), ...journal },
    onDrop: (rows) => (dropped += rows),
    logger: createLogger('test', 'silent'),
  });
  return { postgres, log, dropped: () => dropped };
}

const add = ({ log }: LogFixture, count: number): string[] =>
  Array.from({ length: count }, () => log.keep(served, facts)).sort();

describe('the prediction log', () => {
  it('inserts predictions in few statements, and leaves no file', () =>
    withFolder(async (folder) => {
      const fixture = logIn(folder);
      const ids = add(fixture, 1_200);
      await poll(
        () => Promise.resolve(fixture.postgres.rows.size),
        (size) => size === 1_200,
      );
      expect([...fixture.postgres.rows.keys()].sort()).toEqual(ids);
      expect(fixture.postgres.calls.length).toBeLessThan(10);
      expect(fixture.postgres.rows.get(ids[0] ?? '')).toMatchObject({
        modelName: 'a_model',
        version: 3,
        generation: 7,
        replica: 'here',
        predicted: 'b',
        confidence: 0.8,
        probabilities: { a: 0.2, b: 0.8 },
      });
      await poll(
        () => readdir(folder),
        (names) => names.length === 0,
      );
      await fixture.log.stop();
    }));

  it('stores predictions on disk while Postgres is unavailable, and inserts them later', () =>
    withFolder(async (folder) => {
      const fixture = logIn(folder);
      fixture.postgres.isAway = true;
      const ids = add(fixture, 300);
      await expect(fixture.log.flush()).rejects.toMatchObject({ code: 'database_unavailable' });
      ids.push(...add(fixture, 300));
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(fixture.postgres.rows.size).toBe(0);
      fixture.postgres.isAway = false;
      await fixture.log.flush();
      expect([...fixture.postgres.rows.keys()].sort()).toEqual(ids.sort());
      expect(fixture.dropped()).toBe(0);
      await fixture.log.stop();
    }));

  it('leaves uninserted predictions to the next start, which skips a torn line', () =>
    withFolder(async (folder) => {
      const first = logIn(folder);
      first.postgres.isAway = true;
      const ids = add(first, 50);
      await first.log.stop();
      const [name = ''] = await readdir(folder);
      const text = await readFile(join(folder, name), 'utf8');
      // A killed process may have written half of its last line.
      await writeFile(join(folder, name), `${text}{"id":"01`);

      const second = logIn(folder);
      await second.log.adopt();
      await second.log.flush();
      expect([...second.postgres.rows.keys()].sort()).toEqual(ids);
      expect(await readdir(folder)).toEqual([]);
      await second.log.stop();
    }));

  it('leaves the files of a living process alone', () =>
    withFolder(async (folder) => {
      const name = `${process.ppid}-01a1fdc8-0c1d-7000-913c-6582be31a915.jsonl`;
      await writeFile(join(folder, name), '');
      const fixture = logIn(folder);
      await fixture.log.adopt();
      await fixture.log.flush();
      expect(await readdir(folder)).toEqual([name]);
      await fixture.log.stop();
    }));

  it('holds predictions in memory without a disk, and drops and counts the excess only without Postgres', () =>
    withFolder(async (folder) => {
      const fixture = logIn(folder, { open: () => Promise.reject(new Error('ENOSPC: no space left on device')) });
      add(fixture, 100);
      await fixture.log.flush();
      expect(fixture.postgres.rows.size).toBe(100);
      fixture.postgres.isAway = true;
      add(fixture, 10_007);
      expect(fixture.dropped()).toBe(7);
      fixture.postgres.isAway = false;
      await fixture.log.flush();
      expect(fixture.postgres.rows.size).toBe(10_100);
      add(fixture, 5);
      fixture.postgres.isAway = true;
      await fixture.log.stop();
      expect(fixture.dropped()).toBe(12);
    }));

  it('sets aside a prediction that Postgres rejects, and inserts the others', () =>
    withFolder(async (folder) => {
      const fixture = logIn(folder);
      const ids = add(fixture, 3);
      fixture.postgres.refused.add(ids[1] ?? '');
      await fixture.log.flush();
      expect([...fixture.postgres.rows.keys()].sort()).toEqual([ids[0], ids[2]]);
      expect(await readFile(join(folder, 'refused.jsonl'), 'utf8')).toContain(ids[1]);
      await fixture.log.stop();
    }));

  it('waits in memory while the journal may not grow, and is journalled again when it may', () =>
    withFolder(async (folder) => {
      let sizes: number[] = [];
      let isFull = true;
      const limited = createPredictionJournal(folder, (bytes) => {
        sizes.push(bytes);
        return isFull ? Promise.reject(new PerennialError('insufficient_storage', 'full')) : Promise.resolve();
      });
      const fixture = logIn(folder, limited);
      fixture.postgres.isAway = true;
      add(fixture, 3);
      await poll(
        () => Promise.resolve(sizes.length),
        (asked) => asked > 0,
      );
      expect(await readdir(folder)).toEqual([]);
      isFull = false;
      sizes = [];
      await poll(
        async () => {
          add(fixture, 1);
          return (await readdir(folder)).length;
        },
        (files) => files > 0,
      );
      fixture.postgres.isAway = false;
      await fixture.log.flush();
      expect(fixture.dropped()).toBe(0);
      expect(fixture.postgres.rows.size).toBeGreaterThan(3);
      expect(await readdir(folder)).toEqual([]);
      await fixture.log.stop();
    }));
});
