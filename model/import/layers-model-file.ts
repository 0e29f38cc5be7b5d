import { z } from 'zod';
import { messageOf } from '../../contracts/errors.js';
import { requireValid } from '../../platform/validation/validate.js';
import { layerKinds, layerSchema, type Layer } from './layer-schemas.js';
import { orderLayers } from './order-layers.js';
import { layersRefusal } from './refusal.js';

const weightSpecSchema = z.object({
  name: z.string().max(500),
  shape: z.array(z.number().int().min(0)).max(6),
  dtype: z.literal('float32', 'weights other than float32 are not converted'),
  quantization: z
    .object({ dtype: z.enum(['uint8', 'uint16', 'float16']), scale: z.number().optional(), min: z.number().optional() })
    .optional(),
});
export type WeightSpec = z.infer<typeof weightSpecSchema>;

const endSchema = z.tuple([z.tuple([z.string(), z.literal(0), z.literal(0)])]).transform(([[name]]) => name);
const entrySchema = z.object({
  class_name: z.string().max(100),
  config: z.object({ name: z.string().max(200).default('') }).loose(),
  inbound_nodes: z.unknown().optional(),
});
type Entry = z.output<typeof entrySchema>;

const maxLayers = 2_000;
const entriesSchema = z.array(entrySchema).min(1).max(maxLayers);
const sequentialSchema = z.object({ layers: entriesSchema });
const functionalSchema = z.object({ layers: entriesSchema, input_layers: endSchema, output_layers: endSchema });

const inputReference = z.tuple([z.string(), z.literal(0), z.literal(0)]).rest(z.unknown());
const inboundSchema = z
  .tuple([z.array(inputReference).min(1).max(100)], 'a layer must be used once, with outputs of other layers as inputs')
  .transform(([inputs]) => inputs.map(([name]) => name));

const classSchema = z.object({ class_name: z.string().max(100), config: z.unknown() });
const modelFileSchema = z.object({
  format: z.literal('layers-model', 'a layers model is needed; graph models are not supported'),
  modelTopology: z.union([
    z.object({ model_config: classSchema }).transform(({ model_config }) => model_config),
    classSchema,
  ]),
  weightsManifest: z.array(
    z.object({
      paths: z.array(z.string().regex(/^[\w-][\w.-]{0,199}$/, 'only names of files, without folders')).max(100),
      weights: z.array(weightSpecSchema).max(10_000),
    }),
  ),
});

export interface LayersModelFile {
  /** In topological order: the first is the input, the last the output. */
  layers: Layer[];
  weightsManifest: z.output<typeof modelFileSchema>['weightsManifest'];
}

/**
 * Reads a model.json. Nothing of it is run, and no class is looked up by name.
 * @throws PerennialError bundle_invalid for anything but a plain network, naming the layer
 */
export function readLayersModelFile(text: string): LayersModelFile {
  const { modelTopology, weightsManifest } = check(modelFileSchema, parseJson(text), 'The model.json');
  return { layers: readLayers(modelTopology), weightsManifest };
}

/** Keys that could pollute prototypes. */
const forbiddenKeys = ['__proto__', 'constructor', 'prototype'];

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (key, value: unknown) => {
      if (forbiddenKeys.includes(key)) throw new Error(`it holds the key ${key}`);
      return value;
    });
  } catch (error) {
    throw layersRefusal(`The model.json cannot be read (${messageOf(error)}).`, error);
  }
}

function readLayers({ class_name: kind, config }: z.output<typeof classSchema>): Layer[] {
  // Old files hold only the list of layers.
  const sequence = Array.isArray(config) ? { layers: config } : config;
  if (kind === 'Sequential') return chain(check(sequentialSchema, sequence, 'The sequential model').layers);
  if (kind !== 'Model' && kind !== 'Functional') throw layersRefusal(`The model class ${kind} is not supported.`);
  const model = check(functionalSchema, config, 'The model');
  const layers = model.layers.map((entry) =>
    readLayer(entry, entry.class_name === 'InputLayer' ? [] : check(inboundSchema, entry.inbound_nodes, shown(entry))),
  );
  return orderLayers(layers, model.input_layers, model.output_layers);
}

/**
 * The layers of a sequential model, each with the previous one as input; an input layer is added where there is none.
 */
function chain(entries: readonly Entry[]): Layer[] {
  const layers: Layer[] = [];
  const [first] = entries;
  if (first && first.class_name !== 'InputLayer') {
    const config = { name: 'sequential_input', batch_input_shape: first.config['batch_input_shape'] };
    layers.push(readLayer({ class_name: 'InputLayer', config, inbound_nodes: [] }, []));
  }
  for (const entry of entries) {
    const before = layers.at(-1);
    layers.push(readLayer(entry, before ? [before.config.name] : []));
  }
  return orderLayers(layers, layers[0]?.config.name ?? '', layers.at(-1)?.config.name ?? '');
}

function readLayer(entry: Entry, inputs: string[]): Layer {
  if (!layerKinds.includes(entry.class_name)) {
    throw layersRefusal(`${shown(entry)} is not supported, and custom code never runs.`);
  }
  return { ...check(layerSchema, entry, shown(entry)), inputs };
}

function shown({ class_name: kind, config }: Entry): string {
  return `The layer ${config.name} (${kind})`;
}

function check<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  try {
    return requireValid(schema, value, 'it');
  } catch (error) {
    throw layersRefusal(`${what} is invalid. ${messageOf(error)}`, error);
  }
}
