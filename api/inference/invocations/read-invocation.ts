import { z } from 'zod';
import { onnxNames } from '../../../contracts/registry/bundle.js';
import { decodeBase64 } from '../../http/body/decode-base64.js';
import { parseJson } from '../../http/body/parse-json.js';
import { inputScaleSchema, type InputScale } from '../../../contracts/inference/input-scale.js';
import { tensorBounds } from '../tensors/tensor-bounds.js';
import { imageWriter, requireFew, writeFlatImage, writeImageTensor } from '../tensors/tensors.js';
import { scanTensors } from '../tensors/scan-tensors.js';

/** The images of a scoring request, independent of its JSON. */
export interface Invocation {
  /** In the order of the request: an image file, or null for the next of the tensors. */
  images: readonly (Uint8Array | null)[];
  /** Pixels of the tensors, concatenated. */
  pixels: Uint8Array;
  tensors: number;
  /** The scale of the tensors as sent; null without tensors. */
  scale: InputScale | null;
}

const shapes = ['inputs', 'instances', 'dataframe_split', 'dataframe_records'] as const;

const scoringSchema = z
  .strictObject({
    inputs: z
      .union([z.array(z.unknown()).min(1), z.strictObject({ [onnxNames.image]: z.array(z.unknown()).min(1) })], {
        error: `expected a list of one image or more, or an object that holds it as ${onnxNames.image}`,
      })
      .optional(),
    instances: z.array(z.unknown()).min(1).optional(),
    dataframe_split: z
      .strictObject({
        columns: z.array(z.union([z.string(), z.number()])).optional(),
        index: z.unknown().optional(),
        data: z.array(z.array(z.unknown())).min(1),
      })
      .optional(),
    dataframe_records: z.array(z.record(z.string(), z.unknown())).min(1).optional(),
    scale: inputScaleSchema.optional(),
    params: z
      .union([z.null(), z.strictObject({ scale: inputScaleSchema.optional() })], {
        error: 'this model takes no params but `scale`, 1 or 255',
      })
      .optional(),
  })
  .refine((body) => shapes.filter((shape) => body[shape] !== undefined).length === 1, {
    error: `expected exactly one of ${shapes.join(', ')}`,
  });
type Scoring = z.infer<typeof scoringSchema>;

/**
 * Reads a body of MLflow's scoring protocol. Images are 224×224×3 lists of numbers from 0 to 255, or image files as
 * base64. Parsed JSON takes about ten times the memory of its text, pixels a quarter, so the lists are freed when this
 * function returns. Only one body is parsed at a time.
 * @throws PerennialError bad_request, invalid_tensor
 */
export async function readInvocation(body: Buffer): Promise<Invocation> {
  const scanned = await scanTensors(body);
  if (scanned === null) {
    const scoring = parseJson(body, scoringSchema, tensorBounds(body.length));
    return gather(cellsOf(scoring), scoring.scale ?? scoring.params?.scale);
  }
  const { pixels, count } = scanned;
  return { images: Array.from({ length: count }, () => null), pixels, tensors: count, scale: 255 };
}

/** An image in JSON with its place. */
interface Cell {
  value: unknown;
  pointer: string;
  /** Whether the numbers are one flat list. */
  isFlat?: boolean;
}

interface Cells {
  cells: readonly Cell[];
  pointer: string;
}

function cellsOf({ inputs, instances, dataframe_split: table, dataframe_records: rows }: Scoring): Cells {
  if (table !== undefined) return { cells: cellsOfTable(table), pointer: '#/dataframe_split/data' };
  if (Array.isArray(inputs)) return listed(inputs, '#/inputs');
  if (inputs !== undefined) return listed(inputs[onnxNames.image], `#/inputs/${onnxNames.image}`);
  return listed(instances ?? rows ?? [], instances === undefined ? '#/dataframe_records' : '#/instances');
}

function listed(values: readonly unknown[], pointer: string): Cells {
  requireFew(values.length, pointer);
  const cells = values.map((value, index): Cell => {
    const at = `${pointer}/${index}`;
    return unwrapped({ value, pointer: at });
  });
  return { cells, pointer };
}

/**
 * The image in `{"image": …}`, in TensorFlow Serving's `{"b64": …}`, or in that below the name of any input. Other
 * objects stay as they are.
 */
function unwrapped(cell: Cell): Cell {
  const [member, ...others] = membersOf(cell.value);
  if (member === undefined || others.length > 0) return cell;
  const [name, value] = member;
  const inner = { value, pointer: `${cell.pointer}/${name}` };
  if (name === base64Name) return inner;
  const [below] = membersOf(value);
  return name === onnxNames.image || below?.[0] === base64Name ? unwrapped(inner) : cell;
}

const base64Name = 'b64';

function membersOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}

/** A table has one column of images, or one column per pixel value. */
function cellsOfTable({ columns, data }: NonNullable<Scoring['dataframe_split']>): Cell[] {
  const pointer = '#/dataframe_split/data';
  requireFew(data.length, pointer);
  const width = columns?.length ?? data[0]?.length ?? 0;
  return data.map((row, index) => {
    const at = `${pointer}/${index}`;
    return width === 1 && row.length === 1
      ? unwrapped({ value: row[0], pointer: `${at}/0` })
      : { value: row, pointer: at, isFlat: true };
  });
}

function gather({ cells, pointer }: Cells, declared: InputScale | undefined): Invocation {
  requireFew(cells.length, pointer);
  const tensors = cells.filter(({ value }) => typeof value !== 'string').length;
  const { pixels, writer } = imageWriter(tensors, declared);
  const images = cells.map(({ value, pointer: at, isFlat }) => {
    if (typeof value === 'string') return decodeBase64(value, at);
    if (isFlat === true) writeFlatImage(value, writer, at);
    else writeImageTensor(value, writer, at);
    return null;
  });
  return { images, pixels, tensors, scale: tensors === 0 ? null : writer.finish() };
}
