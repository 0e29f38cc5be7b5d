import { z } from 'zod';
import { nearestName } from '../../../../platform/validation/nearest.js';
import { validate } from '../../../../platform/validation/validate.js';

const schema = z.strictObject({
  name: z.string().min(1).max(5),
  note: z.string().describe('free text.').optional(),
  epochs: z.int().min(1).max(100).optional(),
  stage: z.enum(['None', 'Staging', 'Production', 'Archived']).optional(),
  at: z.iso.datetime().optional(),
  id: z.uuid().optional(),
  tags: z.record(z.string(), z.string()).optional(),
  images: z
    .array(z.strictObject({ url: z.string() }))
    .max(2)
    .optional(),
  source: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('folder'), path: z.string() }),
      z.strictObject({ kind: z.literal('upload'), upload_id: z.string() }),
    ])
    .optional(),
  either: z.union([z.strictObject({ a: z.number() }), z.strictObject({ b: z.number() })]).optional(),
  odd: z
    .number()
    .refine((value) => value % 2 === 1, 'expected an odd number')
    .optional(),
});

const details = (value: unknown): string[] =>
  validate(schema, value, 'the body').faults?.map(({ detail }) => detail) ?? [];

describe('validate', () => {
  it('returns what the schema makes of a valid value', () => {
    expect(validate(z.string().transform(Number), '3', 'the body')).toEqual({ data: 3, faults: null });
  });

  it.each<[string, unknown, string]>([
    ['a missing text', {}, '`name` is missing. Send a text.'],
    ['a missing member of a list', { name: 'a', images: [{}] }, '`images[0].url` is missing. Send a text.'],
    ['a missing kind', { name: 'a', source: {} }, '`source.kind` is missing. Send one of folder, upload.'],
    [
      'an unknown kind',
      { name: 'a', source: { kind: 'zip' } },
      '`source.kind` must be one of folder, upload, not “zip”.',
    ],
    ['a body that is a list', [], 'The body must be an object, not a list.'],
    ['a body that is null', null, 'The body must be an object, not null.'],
    ['no body', undefined, 'The body is missing. Send an object.'],
    ['another type', { name: 7 }, '`name` must be a text, not 7.'],
    ['a fraction', { name: 'a', epochs: 1.5 }, '`epochs` must be a whole number, not 1.5.'],
    ['a number that is too small', { name: 'a', epochs: 0 }, '`epochs` must be at least 1.'],
    ['a number that is too large', { name: 'a', epochs: 101 }, '`epochs` must be at most 100.'],
    ['a text that is too long', { name: 'abcdef' }, '`name` must have at most 5 characters.'],
    ['an empty text', { name: '' }, '`name` must have at least 1 character.'],
    [
      'a list that is too long',
      { name: 'a', images: [1, 2, 3].map(() => ({ url: '' })) },
      '`images` must have at most 2 elements.',
    ],
    ['no UUID', { name: 'a', id: 'x' }, '`id` must be a UUID.'],
    ['no time', { name: 'a', at: 'now' }, '`at` must be a time as in ISO 8601, such as 2026-01-31T12:00:00Z.'],
    ['a value of a record', { name: 'a', tags: { season: 1 } }, '`tags.season` must be a text, not 1.'],
    [
      'a value outside a list',
      { name: 'a', stage: 'production' },
      '`stage` must be one of None, Staging, Production, Archived, not “production”. The nearest is Production.',
    ],
    [
      'an unknown field',
      { name: 'a', source: { kind: 'upload', uploadId: 'x', upload_id: 'x' } },
      '`uploadId` is not a field of `source`. The nearest is `upload_id`; known are kind, upload_id.',
    ],
    ['the form that fits best', { name: 'a', either: { b: 'x' } }, '`either.b` must be a number, not a text.'],
    ['a message of the schema itself', { name: 'a', odd: 2 }, '`odd`: expected an odd number'],
  ])('says in a sentence what is wrong: %s', (_case, value, sentence) => {
    expect(details(value)).toContain(sentence);
  });

  it('names an unknown field and the nearest known one', () => {
    expect(details({ nmae: 'a' })).toEqual([
      '`name` is missing. Send a text.',
      expect.stringMatching(/^`nmae` is not a field of the body\. The nearest is `name`; known are name, note, epochs/),
    ]);
  });

  it('says what a missing field means if its schema does', () => {
    const described = z.object({ label: z.string().describe('the class of all these images') });
    expect(validate(described, {}, 'the body').faults).toEqual([
      { path: ['label'], detail: '`label` is missing. Send a text: the class of all these images.' },
    ]);
  });
});

describe('nearestName', () => {
  it.each([
    ['abstained', ['limit', 'page_token', 'abstain'], 'abstain'],
    ['pageToken', ['limit', 'page_token'], 'page_token'],
    ['neighbors', ['label', 'neighbours'], 'neighbours'],
    ['LIMIT', ['limit', 'label'], 'limit'],
    ['name', ['tags', 'model_name'], 'model_name'],
    ['x', [], undefined],
  ])('finds for %s among %j', (name, known, nearest) => {
    expect(nearestName(name, known)).toBe(nearest);
  });
});
