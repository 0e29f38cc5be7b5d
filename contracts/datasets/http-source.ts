import { z } from 'zod';
import { snakeShape } from '../http/snake-shape.js';
import { camelCase } from '../http/spelling.js';
import { sourceSchema, type Source } from './datasets.js';

const [first, ...others] = sourceSchema.options.map((option: z.ZodObject) => snakeShape(option).strict());
if (first === undefined) throw new Error('There is no kind of source.');

/** A source in the body of a request: every kind with its names in snake_case. Recorded workflows keep the inner names. */
export const sourceBodySchema = z
  .discriminatedUnion('kind', [first, ...others])
  .transform((sent): Source => sourceSchema.parse(withInnerNames(sent)));

function withInnerNames(sent: object): object {
  return Object.fromEntries(Object.entries(sent).map(([name, value]) => [camelCase(name), value]));
}
