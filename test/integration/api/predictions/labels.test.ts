import { randomUUID } from 'node:crypto';
import sharp from 'sharp';
import { pageOf } from '../../../../contracts/http/page.js';
import { labelDecisionViewSchema } from '../../../../contracts/predictions/http-labels.js';
import { productionAccuracyViewSchema } from '../../../../contracts/predictions/http-predictions.js';
import { createAuditStore } from '../../../../stores/audit/audit.js';
import { colour, startLabelFixture, type LabelFixture } from '../../../support/label-fixture.js';
import { problemOf } from '../../../support/served-api.js';
import { sha256Of } from '../../../support/training-fixtures.js';

const secret = 'Ada of Somewhere';

describe('the label queue', () => {
  let labels: LabelFixture;

  beforeAll(async () => {
    labels = await startLabelFixture();
  });
  beforeEach(async () => {
    // Undecided predictions of other tests would be in every queue.
    await labels.ingestion.database.db.query(
      'UPDATE prediction_inputs SET decided_at = now() WHERE decided_at IS NULL',
    );
  });
  afterAll(() => labels.stop());

  const idsOf = async (query?: string): Promise<string[]> =>
    (await labels.queue(query)).items.map(({ prediction_id }) => prediction_id);

  it('shows the image that was sent, without its metadata', async () => {
    const sent = await colour(250, secret);
    const id = await labels.predict(sent);
    const response = await labels.get(`/api/v1/predictions/${id}/input`);
    const shown = Buffer.from(await response.arrayBuffer());
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(sent.includes(secret)).toBe(true);
    expect(shown.includes(secret)).toBe(false);
    expect(await sharp(shown).raw().toBuffer()).toEqual(await sharp(sent).raw().toBuffer());
    const { input, image_sha256: hash } = await labels.detail(id);
    expect(input).toMatchObject({ kept: true, content_type: 'image/png', size_bytes: shown.length });
    expect(hash).toBe(sha256Of(sent));
  });

  it('lists the most uncertain first, each image once, page by page', async () => {
    const doubtful = await colour(101);
    const ids = [await labels.predict(await colour(250)), await labels.predict(doubtful)];
    ids.push(await labels.predict(await colour(120)), await labels.predict(doubtful));
    const { items } = await labels.queue();
    expect(items.map(({ prediction_id }) => prediction_id)).toEqual([ids[3], ids[2], ids[0]]);
    expect(items[0]).toMatchObject({ reasons: ['uncertain'], disagreement: 0, image_sha256: sha256Of(doubtful) });
    expect(items[0]?.uncertainty).toBeGreaterThan(0.99);
    expect(items[2]?.score).toBeLessThan(0.1);
    expect(await idsOf('strategy=newest')).toEqual([ids[3], ids[2], ids[0]]);
    const paged: string[] = [];
    for (let token: string | null = ''; token !== null;) {
      const page = await labels.queue(`limit=1${token === '' ? '' : `&page_token=${token}`}`);
      paged.push(...page.items.map(({ prediction_id }) => prediction_id));
      token = page.next_page_token;
    }
    expect(paged).toEqual([ids[3], ids[2], ids[0]]);
    expect(await problemOf(await labels.get('/api/v1/labels/queue?page_token=..%2F..'))).toMatchObject({ status: 400 });
    await labels.decide(ids[3] ?? '', { label: 'grass' });
    expect(await idsOf()).toEqual([ids[2], ids[0]]);
  });

  it('lists first the predictions on which people or versions disagree', async () => {
    const [clear, disputed] = [await labels.predict(await colour(252)), await labels.predict(await colour(251))];
    for (const [label, actor] of [
      ['dandelion', 'ada'],
      ['grass', 'bob'],
    ]) {
      await labels.send('/feedback', { prediction_id: disputed, label }, actor);
    }
    expect(await labels.detail(disputed)).toMatchObject({ conflicted: true, label: 'grass' });
    const { items } = await labels.queue();
    expect(items.map(({ prediction_id }) => prediction_id)).toEqual([disputed, clear]);
    expect(items[0]).toMatchObject({ reasons: ['people_disagree'], disagreement: 1 });
    await labels.decide(disputed, { label: 'dandelion' }, 'carol');
    expect(await labels.detail(disputed)).toMatchObject({ conflicted: false, label: 'dandelion' });
    await labels.send('/feedback', { prediction_id: disputed, label: 'grass' }, 'dave');
    expect(await labels.detail(disputed)).toMatchObject({ conflicted: false, label: 'dandelion' });

    const image = await colour(253);
    await labels.predict(image);
    await labels.ingestion.database.db.query(`UPDATE predictions SET predicted = 'grass' WHERE image_sha256 = $1`, [
      sha256Of(image),
    ]);
    const again = await labels.predict(image);
    expect((await labels.queue()).items[0]).toMatchObject({ prediction_id: again, reasons: ['versions_disagree'] });
  });

  it('takes a decision once: repeating it changes nothing, a different one is refused with the first actor', async () => {
    const id = await labels.predict(await colour(110));
    const decision = { prediction_id: id, label: 'grass', comment: 'by its leaves' };
    const first = await labels.send('/api/v1/labels', decision, 'ada');
    expect(first.status).toBe(201);
    expect((await labels.send('/api/v1/labels', decision, 'bob')).status).toBe(200);
    const refused = await labels.send('/api/v1/labels', { ...decision, label: 'dandelion' }, 'bob');
    expect(refused.status).toBe(409);
    const { label_id: former } = labelDecisionViewSchema.parse(await first.json());
    expect(await refused.text()).toContain(`ada has decided`);
    expect(await labels.decide(id, { label: 'dandelion', replaces: former }, 'bob')).toMatchObject({
      decision: 'label',
      label: 'dandelion',
      actor: 'bob',
    });
    const { label, feedback } = await labels.detail(id);
    expect(label).toBe('dandelion');
    expect(feedback.map((each) => [each.label, each.actor])).toEqual([
      ['dandelion', 'bob'],
      ['grass', 'ada'],
    ]);
    const listed = pageOf(labelDecisionViewSchema).parse(await (await labels.get('/api/v1/labels?limit=2')).json());
    expect(listed.items.map((each) => each.label)).toEqual(['dandelion', 'grass']);
    const { items } = await createAuditStore(labels.served.api.database).list({ limit: 2, action: 'label.decide' });
    expect(items.map(({ before, after }) => [before, after])).toEqual([
      [
        { decision: 'label', label: 'grass' },
        { decision: 'label', label: 'dandelion' },
      ],
      [null, { decision: 'label', label: 'grass' }],
    ]);
  });

  it('takes one of many conflicting concurrent decisions', async () => {
    const id = await labels.predict(await colour(109));
    const decision = (turn: number): object => (turn % 2 === 0 ? { label: 'grass' } : { decision: 'reject' });
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, turn) =>
        labels.send('/api/v1/labels', { prediction_id: id, ...decision(turn) }, `person ${turn}`),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 200, 200, 200, 200, 201, 409, 409, 409, 409, 409, 409]);
  });

  it('takes concurrent decisions on several predictions of one image', async () => {
    const image = await colour(117);
    const ids: string[] = [];
    for (let sent = 0; sent < 8; sent += 1) ids.push(await labels.predict(image));
    const say = (label: string, turn: number): Promise<Response> =>
      labels.send('/api/v1/labels', { prediction_id: ids[turn], label }, `person ${turn}`);
    const answers = await Promise.all(ids.map((_, turn) => say(turn % 2 === 0 ? 'grass' : 'dandelion', turn)));
    expect(answers.map(({ status }) => status)).toEqual(ids.map(() => 201));
    expect(await idsOf()).toEqual([]);
  });

  it('does not list skipped or rejected predictions again, and takes an unknown class with `new_class`', async () => {
    const [skipped, rejected, tulip] = [
      await labels.predict(await colour(111)),
      await labels.predict(await colour(112)),
      await labels.predict(await colour(113)),
    ];
    expect(await labels.decide(skipped, { decision: 'skip' })).toMatchObject({ decision: 'skip', label: null });
    expect(await labels.decide(rejected, { decision: 'reject' })).toMatchObject({ decision: 'reject', label: null });
    expect(await idsOf()).toEqual([tulip]);
    const unknown = await labels.send('/api/v1/labels', { prediction_id: tulip, label: 'tulip' });
    expect(await problemOf(unknown)).toMatchObject({ status: 400 });
    expect(await labels.decide(tulip, { label: 'tulip', new_class: true })).toMatchObject({ new_class: true });
    expect(await labels.detail(tulip)).toMatchObject({ label: 'tulip', feedback: [] });
    expect(await labels.detail(skipped)).toMatchObject({ label: null });
  });

  it.each([
    ['an unknown prediction', 404, () => ({ prediction_id: randomUUID(), label: 'grass' })],
    ['a label without its name', 400, () => ({ prediction_id: randomUUID() })],
    ['a rejection with a label', 400, () => ({ prediction_id: randomUUID(), decision: 'reject', label: 'grass' })],
    ['a label that is a path', 400, () => ({ prediction_id: randomUUID(), label: '../..', new_class: true })],
    ['half a character', 400, () => ({ prediction_id: randomUUID(), label: '\ud800', new_class: true })],
    ['an invalid id', 400, () => ({ prediction_id: '../etc', label: 'grass' })],
  ])('refuses %s with %i', async (_name, status, body) => {
    expect(await problemOf(await labels.send('/api/v1/labels', body()))).toMatchObject({ status });
  });

  it('takes no label for an image that is not captured', async () => {
    const id = await labels.predict(await colour(114));
    await labels.ingestion.database.db.query(
      'UPDATE prediction_inputs SET expires_at = now() WHERE prediction_id = $1',
      [id],
    );
    const refused = await labels.send('/api/v1/labels', { prediction_id: id, label: 'grass' });
    expect(await problemOf(refused)).toEqual({ status: 409, code: 'conflict' });
    expect(await problemOf(await labels.get(`/api/v1/predictions/${id}/input`))).toMatchObject({ status: 404 });
    expect((await labels.detail(id)).input).toBeNull();
  });

  it('counts decisions in the accuracy of the version', async () => {
    const name = labels.version.modelName;
    const accuracy = async (query = ''): Promise<{ labelled: number; correct: number }> =>
      productionAccuracyViewSchema.parse(
        await (await labels.get(`/api/v1/mlops/models/${name}/production-accuracy${query}`)).json(),
      );
    const before = await accuracy();
    await labels.decide(await labels.predict(await colour(220)), { label: 'dandelion' });
    await labels.decide(await labels.predict(await colour(221)), { label: 'grass' });
    const after = await accuracy();
    expect([after.labelled - before.labelled, after.correct - before.correct]).toEqual([2, 1]);
    // Without a period the stored counts are read; with a period the rows are counted.
    const counted = await accuracy('?from=2020-01-01T00:00:00Z');
    expect([counted.labelled, counted.correct]).toEqual([after.labelled, after.correct]);
  });
});
