import { startRetrainingSchema } from '../../../../contracts/retraining/http-start.js';
import {
  givenSemanticVersionSchema,
  modelNameSchema,
  semanticVersionSchema,
  tagsSchema,
} from '../../../../contracts/registry/registry.js';
import { loadConfig } from '../../../../platform/config.js';

describe('names of models', () => {
  it.each(['register', 'promote', 'export'])('are not %s, which is part of a route', (name) => {
    expect(modelNameSchema.safeParse(name).success).toBe(false);
    expect(startRetrainingSchema.safeParse({ model_name: name }).success).toBe(false);
    expect(() => loadConfig({ MODEL_NAME: name })).toThrow(/MODEL_NAME/);
  });

  it('may begin with such a word', () => {
    expect(modelNameSchema.safeParse('export-quality').success).toBe(true);
  });
});

describe('semantic versions', () => {
  it.each(['1.0', '1.0.0-rc.1', 'v1.0.0', '1.0.0 ', '01.0.0', '1.0.1234567890', ''])(
    'are not written as "%s"',
    (text) => {
      expect(semanticVersionSchema.safeParse(text).success).toBe(false);
    },
  );

  it.each(['0.0.0', '1.10.3', '999999999.0.0'])('are written as %s', (text) => {
    expect(semanticVersionSchema.safeParse(text).success).toBe(true);
  });
});

describe('semantic versions that a client sets', () => {
  it('leave numbers to count on from', () => {
    expect(givenSemanticVersionSchema.safeParse('999999.0.12').success).toBe(true);
    expect(givenSemanticVersionSchema.safeParse('1.0.1000000').error?.message).toMatch(/numbers below a million/);
  });
});

describe('tags', () => {
  it('are at most a hundred, each a short key with a text', () => {
    const many = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`tag-${index}`, '']));
    expect(tagsSchema.safeParse(many(100)).success).toBe(true);
    expect(tagsSchema.safeParse(many(101)).success).toBe(false);
    expect(tagsSchema.safeParse({ 'a:b': 'c' }).success).toBe(false);
    expect(tagsSchema.safeParse({ a: 'x'.repeat(1001) }).success).toBe(false);
  });
});
