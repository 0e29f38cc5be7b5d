import fc from 'fast-check';
import { z } from 'zod';
import { fromSnake, snakeShape, toSnake } from '../../../../contracts/http/snake-shape.js';

const innerSchema = z.strictObject({ maxP95Ms: z.number().min(1).default(7), mcnemarPValue: z.number().nullable() });
const schema = z.strictObject({
  modelName: z.string().describe('its name'),
  datasetVersion: z.int().optional(),
  perClass: z.record(z.string(), z.object({ rocAuc: z.number() })),
  trialScores: z.array(innerSchema).min(1),
  bestTrial: innerSchema.nullable(),
  guard: innerSchema.partial().prefault({ maxP95Ms: 3 }),
  interval: z.tuple([z.number(), z.number()]),
  anyPayload: z.unknown(),
});
const snake = snakeShape(schema);

describe('a schema in snake case', () => {
  const body = {
    model_name: 'roses',
    per_class: { roseBud: { rocAuc: 1 } },
    trial_scores: [{ mcnemar_p_value: 1 }],
    best_trial: null,
    interval: [1, 2],
    any_payload: { roseBud: 1 },
  };

  it('renames the members of objects at any depth', () => {
    expect(Object.keys(snake.shape)).toEqual([
      'model_name',
      'dataset_version',
      'per_class',
      'trial_scores',
      'best_trial',
      'guard',
      'interval',
      'any_payload',
    ]);
    expect(Object.keys(snake.shape.trial_scores.element.shape)).toEqual(['max_p95_ms', 'mcnemar_p_value']);
  });

  it('preserves defaults, optional members, strictness, checks and descriptions', () => {
    expect(snake.parse(body)).toEqual({
      ...body,
      trial_scores: [{ max_p95_ms: 7, mcnemar_p_value: 1 }],
      guard: { max_p95_ms: 3 },
    });
    expect(snake.safeParse({ ...body, modelName: 'roses' }).success).toBe(false);
    expect(snake.safeParse({ ...body, guard: { maxP95Ms: 1 } }).success).toBe(false);
    expect(snake.safeParse({ ...body, trial_scores: [] }).success).toBe(false);
    expect(snake.safeParse({ ...body, guard: { max_p95_ms: 0 } }).success).toBe(false);
    expect(snake.shape.model_name.description).toBe('its name');
    expect(snakeShape(innerSchema.nullable().describe('why')).description).toBe('why');
  });

  it('is the same schema where there is nothing to rename', () => {
    const range = z.strictObject({ min: z.number(), max: z.number() }).refine(({ min, max }) => min <= max);
    expect(snakeShape(z.object({ learningRate: range.optional() })).shape.learning_rate.unwrap()).toBe(range);
  });

  it('refuses an object with a refinement, which reads the original names', () => {
    expect(() => snakeShape(z.object({ minEpochs: z.number() }).refine(({ minEpochs }) => minEpochs > 0))).toThrow(
      'Refine the renamed object',
    );
  });
});

describe('values of a schema', () => {
  const plainInner = z.object({ maxP95Ms: z.number(), mcnemarPValue: z.number().nullable() });
  const plain = snakeShape(
    z.object({
      modelName: z.string(),
      datasetVersion: z.number().optional(),
      perClass: z.record(z.string(), z.object({ rocAuc: z.number() })),
      trialScores: z.array(plainInner),
      bestTrial: plainInner.nullable(),
      interval: z.tuple([z.number(), z.number()]),
      anyPayload: z.unknown(),
    }),
  );
  const inner = fc.record({ maxP95Ms: fc.double(), mcnemarPValue: fc.option(fc.double()) });
  const value = fc.record(
    {
      modelName: fc.string(),
      datasetVersion: fc.integer(),
      perClass: fc.dictionary(fc.string(), fc.record({ rocAuc: fc.double() })),
      trialScores: fc.array(inner),
      bestTrial: fc.option(inner),
      interval: fc.tuple(fc.double(), fc.double()),
      anyPayload: fc.jsonValue(),
    },
    { requiredKeys: ['modelName', 'perClass', 'trialScores', 'bestTrial', 'interval', 'anyPayload'] },
  );

  it('survive the conversion to snake case and back', () => {
    fc.assert(
      fc.property(value, (each) => {
        const body = toSnake(plain, each);
        expect(Object.keys(body).every((name) => name === name.toLowerCase())).toBe(true);
        expect(fromSnake(plain, body)).toEqual(each);
      }),
    );
  });

  it('preserve the spelling of class labels and of everything without a schema', () => {
    const counts = z.object({ by_class: z.record(z.string(), z.number()), raw: z.unknown() });
    expect(toSnake(counts, { byClass: { roseBud: 3 }, raw: { roseBud: 3 } })).toEqual({
      by_class: { roseBud: 3 },
      raw: { roseBud: 3 },
    });
    expect(fromSnake(counts, { by_class: { rose_bud: 3 }, raw: { rose_bud: 3 } })).toEqual({
      byClass: { rose_bud: 3 },
      raw: { rose_bud: 3 },
    });
  });

  it('lose fields that the schema does not have, and numbers become strings where it has a string', () => {
    const view = z.object({ model_version: z.string().nullable(), images: z.number() });
    const record = { modelVersion: 3, images: 4, objectKey: 'secret' };
    expect(toSnake(view, record)).toEqual({ model_version: '3', images: 4 });
    expect(toSnake(view, { ...record, modelVersion: null })).toEqual({ model_version: null, images: 4 });
  });
});
