import { z } from 'zod';

/**
 * Supported layers and their parameters. Other parameters (initialisers, regularisers) are dropped while parsing, so
 * that TF.js gets only validated values and looks up no other class.
 */
const activation = z.enum(['linear', 'relu', 'relu6', 'sigmoid', 'softmax', 'swish']).default('linear');
export type Activation = z.infer<typeof activation>;

const size = z.number().int().min(1).max(1024);
const channels = z.number().int().min(1).max(65_536);
export const pairSchema = z.union([size.transform((side): [number, number] => [side, side]), z.tuple([size, size])]);
const one: [number, number] = [1, 1];
const two: [number, number] = [2, 2];
const channelsLast = z.literal('channels_last').optional();
const padding = z.enum(['valid', 'same']).default('valid');
const named = { name: z.string().min(1).max(200), batch_input_shape: z.array(z.number().nullable()).optional() };
const yes = z.boolean().default(true);

const convolution = {
  ...named,
  kernel_size: pairSchema,
  strides: pairSchema.default(one),
  padding,
  dilation_rate: pairSchema.default(one),
  data_format: channelsLast,
  activation,
  use_bias: yes,
};
const pooling = z.object({
  ...named,
  pool_size: pairSchema.default(two),
  strides: pairSchema.nullish(),
  padding,
  data_format: channelsLast,
});
const globalPooling = z.object({ ...named, data_format: channelsLast, keepdims: z.literal(false).optional() });
const border = z.number().int().min(0).max(512);
const borders = z.tuple([border, border]);

function layer<Kind extends string, Config extends z.ZodType>(
  kind: Kind,
  config: Config,
): z.ZodObject<{ class_name: z.ZodLiteral<Kind>; config: Config }> {
  return z.object({ class_name: z.literal(kind), config });
}

export const layerSchema = z.discriminatedUnion('class_name', [
  layer('InputLayer', z.object({ ...named, batch_input_shape: z.array(z.number().nullable()) })),
  layer('Rescaling', z.object({ ...named, scale: z.number(), offset: z.number().default(0) })),
  layer('Conv2D', z.object({ ...convolution, filters: channels, groups: z.literal(1).optional() })),
  layer('DepthwiseConv2D', z.object({ ...convolution, depth_multiplier: size.default(1) })),
  layer('SeparableConv2D', z.object({ ...convolution, filters: channels, depth_multiplier: size.default(1) })),
  layer(
    'BatchNormalization',
    z.object({
      ...named,
      axis: z.union([z.number().int(), z.tuple([z.number().int()]).transform(([axis]) => axis)]).default(-1),
      epsilon: z.number().positive().default(1e-3),
      center: yes,
      scale: yes,
    }),
  ),
  layer('Activation', z.object({ ...named, activation })),
  layer(
    'ReLU',
    z.object({
      ...named,
      max_value: z.number().positive().nullish(),
      negative_slope: z.literal(0).nullish(),
      threshold: z.literal(0).nullish(),
    }),
  ),
  layer('Softmax', z.object({ ...named, axis: z.number().int().default(-1) })),
  layer('MaxPooling2D', pooling),
  layer('AveragePooling2D', pooling),
  layer('GlobalAveragePooling2D', globalPooling),
  layer('GlobalMaxPooling2D', globalPooling),
  layer(
    'ZeroPadding2D',
    z.object({
      ...named,
      padding: z.union([
        border.transform((all): [z.infer<typeof borders>, z.infer<typeof borders>] => [
          [all, all],
          [all, all],
        ]),
        z.tuple([borders, borders]),
      ]),
      data_format: channelsLast,
    }),
  ),
  layer('Flatten', z.object({ ...named, data_format: channelsLast })),
  layer('Dropout', z.object({ ...named, rate: z.number() })),
  layer('Dense', z.object({ ...named, units: channels, activation, use_bias: yes })),
  layer('Add', z.object(named)),
  layer('Concatenate', z.object({ ...named, axis: z.number().int().default(-1) })),
  layer('Reshape', z.object({ ...named, target_shape: z.array(z.number().int().nullable()).min(1).max(4) })),
]);
type LayerEntry = z.output<typeof layerSchema>;
export type LayerKind = LayerEntry['class_name'];

/** A layer with the names of its input layers. */
export type Layer = LayerEntry & { inputs: string[] };
export type LayerOf<Kind extends LayerKind> = Extract<Layer, { class_name: Kind }>;

export const layerKinds: readonly string[] = layerSchema.options.map(({ shape }) => shape.class_name.value);
