import type { z } from 'zod';
import { fromSnake, inSnake, snakeShape, toSnake } from '../../contracts/http/snake-shape.js';
import { requireValid } from './validate.js';

/** Text of a JSON file that people can download: its names are in snake_case, as those of the API. */
export function writeJson<T>(schema: z.ZodType<T>, value: NoInfer<T>, indent = 2): string {
  return `${JSON.stringify(toSnake(snakeOf(schema), value), null, indent)}\n`;
}

/**
 * The value in the text of a JSON file. Earlier releases wrote camelCase: both are read.
 * @throws Error that names what is wrong, in sentences
 */
export function readJson<T>(schema: z.ZodType<T>, text: string): T {
  const snake = snakeOf(schema);
  const parsed: unknown = JSON.parse(text);
  return schema.parse(fromSnake(snake, requireValid(snake, inSnake(snake, parsed), 'the file')));
}

function snakeOf(schema: z.ZodType): z.ZodType {
  return snakeShape(schema);
}
