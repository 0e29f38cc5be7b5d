import { z } from 'zod';
import { camelCase, snakeCase } from './spelling.js';

/** `modelName` → `model_name`. */
type SnakeCase<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${Lowercase<First>}${Rest extends Uncapitalize<Rest> ? '' : '_'}${SnakeCase<Rest>}`
  : Name;

/** `model_name` → `modelName`. */
type CamelCase<Name extends string> = Name extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

type SnakeShape<S> =
  S extends z.ZodObject<infer Shape, infer Config>
    ? z.ZodObject<{ -readonly [Name in keyof Shape as SnakeCase<Name & string>]: SnakeShape<Shape[Name]> }, Config>
    : S extends z.ZodArray<infer Element>
      ? z.ZodArray<SnakeType<Element>>
      : S extends z.ZodOptional<infer Inner>
        ? z.ZodOptional<SnakeType<Inner>>
        : S extends z.ZodNullable<infer Inner>
          ? z.ZodNullable<SnakeType<Inner>>
          : S extends z.ZodDefault<infer Inner>
            ? z.ZodDefault<SnakeType<Inner>>
            : S extends z.ZodPrefault<infer Inner>
              ? z.ZodPrefault<SnakeType<Inner>>
              : S;
type SnakeType<S> = Extract<SnakeShape<S>, z.core.SomeType>;

/** Input of `toSnake`: the schema's input with camelCase names. */
export type CamelInput<S> = Camel<S, 'input'>;

type Camel<S, Side extends 'input' | 'output'> =
  S extends z.ZodObject<infer Shape>
    ? CamelMembers<Side extends 'input' ? z.input<S> : z.output<S>, Shape, Side>
    : S extends z.ZodArray<infer Element>
      ? Camel<Element, Side>[]
      : S extends z.ZodNullable<infer Inner>
        ? Camel<Inner, Side> | null
        : S extends z.ZodOptional<infer Inner>
          ? Camel<Inner, Side> | undefined
          : S extends z.ZodDefault<infer Inner> | z.ZodPrefault<infer Inner>
            ? Camel<Inner, Side> | (Side extends 'input' ? undefined : never)
            : Side extends 'input'
              ? z.input<S> | (S extends z.ZodString ? number : never)
              : z.output<S>;
type CamelMembers<Values, Shape, Side extends 'input' | 'output'> = {
  [Name in keyof Values as CamelCase<Name & string>]: Camel<Shape[Name & keyof Shape], Side>;
};

/**
 * A schema of the same JSON with its names in snake_case. Only names of object schemas are renamed: keys of records, such
 * as class labels, stay unchanged, and so does what a union or an unknown value holds. Throws for a refined object with
 * names to change, because the refinement reads the old ones: refine what this returns.
 */
export function snakeShape<S extends z.ZodType>(schema: S): SnakeShape<S>;
export function snakeShape(schema: z.ZodType): z.ZodType {
  const renamed = schema instanceof z.ZodObject ? renamedObject(schema) : renamedWrapper(schema);
  const meta = schema.meta();
  return renamed === schema || meta === undefined ? renamed : renamed.meta(meta);
}

function renamedObject(schema: z.ZodObject): z.ZodType {
  const shape = Object.fromEntries(membersOf(schema).map(([name, type]) => [snakeCase(name), snakeShape(type)]));
  if (membersOf(schema).every(([name, type]) => shape[name] === type)) return schema;
  if (schema.def.checks?.length) throw new Error('A refined object cannot be renamed. Refine the renamed object.');
  return z.clone(schema, { ...schema.def, shape });
}

/** An array, or a schema such as `optional` or `default` around another. */
function renamedWrapper(schema: z.ZodType): z.ZodType {
  const inner = innerOf(schema);
  if (inner === null) return schema;
  const renamed = snakeShape(inner);
  if (renamed === inner) return schema;
  if (schema instanceof z.ZodArray) return z.clone(schema, { ...schema.def, element: renamed });
  if (!(schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)) {
    return z.clone(schema, Object.assign({ ...schema.def }, { innerType: renamed }));
  }
  const defaultValue = convert(renamed, schema.def.defaultValue, toSnakeNaming);
  return z.clone<z.ZodDefault | z.ZodPrefault>(schema, { ...schema.def, innerType: renamed, defaultValue });
}

/**
 * JSON for `schema` from a value with camelCase names. Members that the schema lacks are omitted. Versions and ids are
 * numbers inside and strings in JSON, so a number becomes a string where the schema wants one.
 */
export function toSnake<S extends z.ZodType>(schema: S, value: CamelInput<S>): z.input<S>;
export function toSnake(schema: z.ZodType, value: unknown): unknown {
  return convert(schema, value, toSnakeNaming);
}

/** A parsed body of `schema` with its names in camelCase. */
export function fromSnake<S extends z.ZodType>(schema: S, value: z.output<S>): Camel<S, 'output'>;
export function fromSnake(schema: z.ZodType, value: unknown): unknown {
  return convert(schema, value, fromSnakeNaming);
}

/** A value for `schema`, whose names are in snake_case, from one with names in either spelling. */
export function inSnake(schema: z.ZodType, value: unknown): unknown {
  return convert(schema, value, eitherNaming);
}

/** Names that a member may have in the value, and its name in the result, by its name in the schema. */
interface Naming {
  from: readonly ((name: string) => string)[];
  to: (name: string) => string;
}
const unchanged = (name: string): string => name;
const toSnakeNaming: Naming = { from: [camelCase], to: unchanged };
const fromSnakeNaming: Naming = { from: [unchanged], to: camelCase };
const eitherNaming: Naming = { from: [unchanged, camelCase], to: unchanged };

function convert(schema: z.ZodType, value: unknown, naming: Naming): unknown {
  if (value === null || value === undefined) return value;
  if (schema instanceof z.ZodObject) {
    const isObject = typeof value === 'object' && !Array.isArray(value);
    return isObject ? convertObject(schema, new Map(Object.entries(value)), naming) : value;
  }
  const inner = innerOf(schema);
  if (inner === null) return schema instanceof z.ZodString && typeof value === 'number' ? String(value) : value;
  return Array.isArray(value) && schema instanceof z.ZodArray
    ? value.map((item) => convert(inner, item, naming))
    : convert(inner, value, naming);
}

function convertObject(schema: z.ZodObject, values: ReadonlyMap<string, unknown>, naming: Naming): object {
  const members = membersOf(schema).flatMap(([name, type]) => {
    const from = naming.from.map((spell) => spell(name)).find((spelling) => values.has(spelling));
    return from === undefined ? [] : [[naming.to(name), convert(type, values.get(from), naming)] as const];
  });
  return Object.fromEntries(members);
}

function membersOf(schema: z.ZodObject): [string, z.ZodType][] {
  const shape: Readonly<Record<string, z.ZodType>> = schema.shape;
  return Object.entries(shape);
}

function innerOf(schema: z.ZodType): z.ZodType | null {
  const inner =
    schema instanceof z.ZodArray
      ? schema.element
      : schema instanceof z.ZodOptional ||
          schema instanceof z.ZodNullable ||
          schema instanceof z.ZodDefault ||
          schema instanceof z.ZodPrefault
        ? schema.unwrap()
        : null;
  return inner instanceof z.ZodType ? inner : null;
}
