import { onnxNames } from '../../contracts/registry/bundle.js';
import { activationMap, type Activations } from './explain/class-activation.js';
import type { Explained, ExplainJob, OverlayJob } from './explain/messages.js';
import { drawOverlay } from './explain/overlay.js';

/** Functions of the inference thread that an explanation needs. */
export interface ExplainTools {
  /** 224×224 RGB pixels of an image file. */
  decode(bytes: Uint8Array): Promise<Uint8Array>;
  /** Runs the network on an image and returns the requested outputs by name. */
  run(pixels: Uint8Array, outputs: readonly string[]): Promise<Record<string, Float32Array>>;
  /** Names of all outputs of the graph. */
  outputs: readonly string[];
  /** The training images nearest to features; none where the bundle holds no references. */
  nearest(features: Float32Array, count: number): { row: number; distance: number }[];
}

export interface ExplainedImage {
  probabilities: number[];
  /** Null when the graph has no features output. */
  features: Float32Array | null;
  explained: Explained;
  decodeMs: number;
  inferMs: number;
}

/**
 * Decodes an image, runs the network once, and computes the class activation map. For a graph without class activations
 * the map is null and the pixels are returned, for `occludedBatches`.
 */
export async function explainInThread(job: ExplainJob, tools: ExplainTools): Promise<ExplainedImage> {
  const startedAt = performance.now();
  const pixels = await tools.decode(job.bytes);
  const decodedAt = performance.now();
  const { probabilities, features, activations } = await runNetworkOnce(pixels, tools);
  const inferMs = performance.now() - decodedAt;
  const classIndex = job.classIndex ?? probabilities.indexOf(Math.max(...probabilities));
  const map = activations && activationMap(activations, classIndex);
  const explained = {
    classIndex,
    map,
    pixels: map ? null : pixels,
    overlay: map && job.overlay ? await drawOverlay(pixels, map) : null,
    neighbours: features && job.neighbours > 0 ? tools.nearest(features, job.neighbours) : [],
  };
  return { probabilities, features, explained, decodeMs: decodedAt - startedAt, inferMs };
}

/** Draws the overlay of a map that was computed by occlusion. */
export async function overlayInThread({ bytes, map }: OverlayJob): Promise<Explained> {
  return { classIndex: 0, map: null, pixels: null, overlay: await drawOverlay(bytes, map), neighbours: [] };
}

interface NetworkOutputs {
  probabilities: number[];
  features: Float32Array | null;
  activations: Activations | null;
}

async function runNetworkOnce(pixels: Uint8Array, { run, outputs }: ExplainTools): Promise<NetworkOutputs> {
  const { probabilities: name, features, classActivations } = onnxNames;
  const wanted = [name, features, classActivations].filter((output) => outputs.includes(output));
  const found = await run(pixels, wanted);
  const probabilities = Array.from(found[name] ?? []);
  if (probabilities.length === 0 || !probabilities.every(Number.isFinite)) {
    throw new Error('The model computes probabilities that are not numbers.');
  }
  return {
    probabilities,
    features: found[features] ?? null,
    activations: activationsOf(found[classActivations], probabilities.length),
  };
}

/** Every network's input is square, so its class activation map is too. An output of another shape is ignored. */
function activationsOf(values: Float32Array | undefined, classes: number): Activations | null {
  if (values === undefined || classes === 0) return null;
  const side = Math.sqrt(values.length / classes);
  return Number.isInteger(side) && values.every(Number.isFinite)
    ? { classes, rows: side, columns: side, values }
    : null;
}
