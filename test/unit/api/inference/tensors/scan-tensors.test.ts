import fc from 'fast-check';
import { scanTensors } from '../../../../../api/inference/tensors/scan-tensors.js';
import { parseImageTensors } from '../../../../support/parse-image-tensors.js';
import { inputSize } from '../../../../../contracts/training/training.js';

const values = inputSize * inputSize * 3;

/** The JSON text of an image that repeats `numbers`. */
function imageOf(numbers: readonly string[], gap = ''): string {
  let next = 0;
  const value = (): string => numbers[next++ % numbers.length] ?? '0';
  const list = (items: number, item: () => string): string =>
    `[${gap}${Array.from({ length: items }, item).join(`${gap},${gap}`)}${gap}]`;
  return list(inputSize, () => list(inputSize, () => list(3, value)));
}

/** The result of JSON.parse; null when it throws. */
function slowly(body: string): Uint8Array | null {
  try {
    const parsed: unknown = JSON.parse(body);
    const inputs: unknown = typeof parsed === 'object' && parsed !== null && 'inputs' in parsed ? parsed.inputs : null;
    return Array.isArray(inputs) ? parseImageTensors(inputs) : null;
  } catch {
    return null;
  }
}

const digits = fc.stringMatching(/^\d{1,20}$/);
const right = fc.oneof(
  fc.integer({ min: 0, max: 255 }).map(String),
  fc.double({ min: 0, max: 255, noNaN: true }).map(String),
  fc.tuple(fc.integer({ min: 0, max: 254 }), digits).map(([whole, fraction]) => `${whole}.${fraction}`),
  fc.tuple(fc.integer({ min: 0, max: 254 }), digits).map(([whole, more]) => `${whole}.49999999999999${more}`),
);
const wrong = fc.constantFrom(
  ...['00', '01', '-1', '256', '255.5', '1e1', '1.', '.5', 'NaN', 'null', '"1"', '2.5e-1', '+1', '', '1 1', '[1]'],
);
const numbers = fc.oneof(
  // One number with an exponent makes the scanner give up: with few of them, enough images are scanned.
  { arbitrary: fc.array(right, { minLength: 1, maxLength: 3 }), weight: 2 },
  fc.array(right, { minLength: 1, maxLength: 30 }),
  fc.array(fc.oneof({ arbitrary: right, weight: 20 }, wrong), { minLength: 1, maxLength: 30 }),
);

describe('scanTensors', () => {
  it('returns the same pixels as JSON.parse, or falls back to it', async () => {
    let scans = 0;
    await fc.assert(
      fc.asyncProperty(numbers, fc.constantFrom('', ' ', '\r\n\t'), async (sent, gap) => {
        const body = `${gap}{"inputs"${gap}:${gap}[${imageOf(sent, gap)}${gap}]${gap}}${gap}`;
        const scanned = await scanTensors(Buffer.from(body));
        const expected = slowly(body);
        if (scanned !== null) scans += 1;
        if (scanned !== null) expect(Buffer.from(scanned.pixels).equals(expected ?? Buffer.alloc(1))).toBe(true);
      }),
      { numRuns: 40 },
    );
    expect(scans).toBeGreaterThan(5);
  });

  it.each([
    ['whole numbers', ['0', '7', '42', '255']],
    ['numbers with fractions', ['0.0', '0.5', '0.49', '254.5', '255.0', '127.49803921568628', '0.49999999999999999']],
  ])('scans %s without JSON.parse', async (_name, numbers) => {
    const body = `{"inputs":[${imageOf(numbers)}]}`;
    const scanned = await scanTensors(Buffer.from(body));
    expect(scanned?.count).toBe(1);
    expect(Buffer.from(scanned?.pixels ?? []).equals(slowly(body) ?? Buffer.alloc(0))).toBe(true);
  });

  it('reads several images, also as instances', async () => {
    const body = `{"instances": [${imageOf(['1'])}, ${imageOf(['2'], ' ')},${imageOf(['3.7'])}]}\n`;
    const scanned = await scanTensors(Buffer.from(body));
    expect(scanned?.count).toBe(3);
    expect(scanned?.pixels).toHaveLength(3 * values);
    expect([0, values - 1, values, 2 * values, 3 * values - 1].map((at) => scanned?.pixels[at])).toEqual([
      1, 1, 2, 4, 4,
    ]);
  });

  const image = imageOf(['9']);
  it.each([
    ['another key', `{"input":[${image}]}`],
    ['a second key', `{"inputs":[${image}],"params":null}`],
    ['no image', '{"inputs":[]}'],
    ['a comma at the end', `{"inputs":[${image},]}`],
    ['text behind it', `{"inputs":[${image}]} x`],
    ['an end too early', `{"inputs":[${image}]`],
    ['a missing row', `{"inputs":[${imageOf(['9']).replace(/^\[\[.*?\]\],/, '[')}]}`],
    ['a fourth channel', `{"inputs":[${image.replace('[9,9,9]', '[9,9,9,9]')}]}`],
    ['a missing channel', `{"inputs":[${image.replace('[9,9,9]', '[9,9]')}]}`],
    ['a number above 255', `{"inputs":[${image.replace('9', '255.0001')}]}`],
    ['NaN', `{"inputs":[${image.replace('9', 'NaN')}]}`],
    ['depth', '['.repeat(1_000_000)],
    ['nothing', ''],
  ])('leaves %s to JSON.parse', async (_name, body) => {
    expect(await scanTensors(Buffer.from(body))).toBeNull();
  });

  it('leaves every truncation to JSON.parse', async () => {
    const body = Buffer.from(`{"inputs":[${image}]}`);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: body.length - 1 }), async (length) => {
        expect(await scanTensors(body.subarray(0, length))).toBeNull();
      }),
      { numRuns: 60 },
    );
  });
});
