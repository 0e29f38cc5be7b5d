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

/** A Postgres that can be away, or refuse a row. */
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

interface World {
  postgres: ReturnType<typeof fakePostgres>;
  log: PredictionLog;
  dropped: () => number;
}

function logIn(folder: string, journal: Partial<PredictionJournal> = {}): World {
  const postgres = fakePostgres();
  let dropped = 0;
  const log = createPredictionLog({
    replica: 'here',
    predictions: { add: (rows) => postgres.add(rows) },
    journal: { ...createPredictionJournal(folder), ...journal },
    onDrop: (rows) => (dropped += rows),
    logger: createLogger('test', 'silent'),
  });
  return { postgres, log, dropped: () => dropped };
}

const keep = ({ log }: World, count: number): string[] =>
  Array.from({ length: count }, () => log.keep(served, facts)).sort();

describe('the log of predictions', () => {
  it('writes what is kept in few statements, and leaves no file', () =>
    withFolder(async (folder) => {
      const world = logIn(folder);
      const ids = keep(world, 1_200);
      await poll(
        () => Promise.resolve(world.postgres.rows.size),
        (size) => size === 1_200,
      );
      expect([...world.postgres.rows.keys()].sort()).toEqual(ids);
      expect(world.postgres.calls.length).toBeLessThan(10);
      expect(world.postgres.rows.get(ids[0] ?? '')).toMatchObject({
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
      await world.log.stop();
    }));

  it('holds predictions on disk while Postgres is away, and writes them when it is back', () =>
    withFolder(async (folder) => {
      const world = logIn(folder);
      world.postgres.isAway = true;
      const ids = keep(world, 300);
      await expect(world.log.flush()).rejects.toMatchObject({ code: 'database_unavailable' });
      ids.push(...keep(world, 300));
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(world.postgres.rows.size).toBe(0);
      world.postgres.isAway = false;
      await world.log.flush();
      expect([...world.postgres.rows.keys()].sort()).toEqual(ids.sort());
      expect(world.dropped()).toBe(0);
      await world.log.stop();
    }));

  it('leaves what Postgres does not take to the next start, which reads past a torn line', () =>
    withFolder(async (folder) => {
      const first = logIn(folder);
      first.postgres.isAway = true;
      const ids = keep(first, 50);
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
      const world = logIn(folder);
      await world.log.adopt();
      await world.log.flush();
      expect(await readdir(folder)).toEqual([name]);
      await world.log.stop();
    }));

  it('keeps predictions without the disk, and drops and counts only what Postgres refuses as well', () =>
    withFolder(async (folder) => {
      const world = logIn(folder, { open: () => Promise.reject(new Error('ENOSPC: no space left on device')) });
      keep(world, 100);
      await world.log.flush();
      expect(world.postgres.rows.size).toBe(100);
      world.postgres.isAway = true;
      keep(world, 10_007);
      expect(world.dropped()).toBe(7);
      world.postgres.isAway = false;
      await world.log.flush();
      expect(world.postgres.rows.size).toBe(10_100);
      keep(world, 5);
      world.postgres.isAway = true;
      await world.log.stop();
      expect(world.dropped()).toBe(12);
    }));

  it('sets a prediction aside that Postgres will never take, and writes its neighbours', () =>
    withFolder(async (folder) => {
      const world = logIn(folder);
      const ids = keep(world, 3);
      world.postgres.refused.add(ids[1] ?? '');
      await world.log.flush();
      expect([...world.postgres.rows.keys()].sort()).toEqual([ids[0], ids[2]]);
      expect(await readFile(join(folder, 'refused.jsonl'), 'utf8')).toContain(ids[1]);
      await world.log.stop();
    }));
});
