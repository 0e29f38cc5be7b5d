import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { auditView } from '../../../api/audit/audit-view.js';
import { notificationView } from '../../../api/notifications/notification-view.js';
import { notificationText } from '../../../domain/notifications/notification-text.js';
import { snakeKeys } from '../../../domain/snake-keys.js';

const at = '2026-05-01T00:00:00.000Z';

describe('a stored document in snake case', () => {
  it('has identifiers renamed at any depth, and nothing else', () => {
    const value = { 'A daisy': 2, model_name: 3, ABC: 4, x: null };
    expect(snakeKeys(value)).toEqual(value);
    expect(snakeKeys({ perClass: [{ rocAuc: 1 }] })).toEqual({ per_class: [{ roc_auc: 1 }] });
  });

  it('keeps the spelling of class labels in messages and their text', () => {
    const payload = { batchId: 'a', predicted: { roseBud: 3, 'A daisy': 2 } };
    const shown = { batch_id: 'a', predicted: payload.predicted };
    const message = { id: 1, kind: 'moon.full', payload, createdAt: at, doneAt: null, deliveries: [] };
    expect(notificationView(message, null).payload).toEqual(shown);
    expect(notificationText('moon.full', payload, null).text).toContain(JSON.stringify(shown));
  });

  it('keeps the spelling of tags in the audit log', () => {
    const after = { tags: { roseBud: 'yes' }, semanticVersion: '1.0.0' };
    const entry = {
      id: 1,
      at,
      actor: 'ada',
      via: 'rest',
      source: '::1',
      requestId: null,
      action: 'version.edit',
    } as const;
    expect(auditView({ ...entry, subject: 'models/roses/versions/1', before: null, after }).after).toEqual({
      tags: { roseBud: 'yes' },
      semantic_version: '1.0.0',
    });
  });

  it('knows every map there is in a contract', async () => {
    const root = new URL('../../../contracts/', import.meta.url);
    const files = readdirSync(fileURLToPath(root), { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.js') && !file.includes('http'),
    );
    const names = new Set<string>();
    for (const file of files) {
      const exported: unknown = await import(new URL(file, root).href);
      for (const each of Object.values<unknown>({ ...(exported ?? {}) })) addMaps(each, names);
    }
    expect(names.size).toBeGreaterThan(3);
    const renamed = [...names].filter((name) =>
      JSON.stringify(snakeKeys({ [name]: { roseBud: 1 } })).includes('rose_bud'),
    );
    expect(renamed).toEqual([]);
  });
});

/** Adds the names of members whose keys are any text. */
function addMaps(schema: unknown, names: Set<string>): void {
  if (schema instanceof z.ZodArray) addMaps(schema.element, names);
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) addMaps(schema.unwrap(), names);
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) addMaps(schema.unwrap(), names);
  if (!(schema instanceof z.ZodObject)) return;
  for (const [name, member] of Object.entries(schema.shape)) {
    if (holdsMap(member)) names.add(name);
    else addMaps(member, names);
  }
}

function holdsMap(schema: unknown): boolean {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return holdsMap(schema.unwrap());
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return holdsMap(schema.unwrap());
  if (schema instanceof z.ZodCustom) return true;
  if (!(schema instanceof z.ZodRecord)) return false;
  return !(schema.keyType instanceof z.ZodEnum) || holdsMap(schema.valueType);
}
