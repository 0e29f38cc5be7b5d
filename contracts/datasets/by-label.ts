import { z } from 'zod';

/**
 * Values by class label. A label can be any string, so these schemas accept every key: the records of zod omit
 * `__proto__`. Read a value with `valueOf`, because `values[label]` finds `toString` in every object.
 */
function byLabel<V extends z.ZodType>(value: V, type: object): z.ZodCustom<ByLabel<V>, ByLabel<V>> {
  const holdsValues = (candidate: unknown): boolean =>
    typeof candidate === 'object' &&
    candidate !== null &&
    !Array.isArray(candidate) &&
    Object.values(candidate).every((each) => value.safeParse(each).success);
  return z
    .custom<ByLabel<V>>(holdsValues, 'expected an object with a value for each label')
    .meta({ type: 'object', additionalProperties: type });
}
type ByLabel<V extends z.ZodType> = Record<string, z.output<V>>;

type Schema<T> = z.ZodCustom<Record<string, T>, Record<string, T>>;

/** A whole number for each label. */
export function labelCounts(): Schema<number> {
  return byLabel(z.number().int(), { type: 'integer' });
}

/** A number for each label. */
export function labelNumbers(): Schema<number> {
  return byLabel(z.number(), { type: 'number' });
}

/** A whole number for each pair of labels. */
export function labelTable(): Schema<Record<string, number>> {
  return byLabel(labelCounts(), { type: 'object', additionalProperties: { type: 'integer' } });
}

/** The value of a label; undefined without one, whatever the label is. */
export function valueOf<T>(values: Readonly<Record<string, T>>, label: string): T | undefined {
  return Object.hasOwn(values, label) ? values[label] : undefined;
}
