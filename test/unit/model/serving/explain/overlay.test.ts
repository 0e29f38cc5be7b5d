import sharp from 'sharp';
import { inputSize } from '../../../../../contracts/training/training.js';
import { pixelBytes } from '../../../../../model/images/decode.js';
import { drawOverlay, enlarge, overlayColours, strengthsOf } from '../../../../../model/serving/explain/overlay.js';

/** Pixels of a PNG, and the colour at a share of its width and height. */
async function opened(png: Uint8Array): Promise<{ pixels: Buffer; at: (x: number, y: number) => number[] }> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([inputSize, inputSize, 3]);
  const at = (x: number, y: number): number[] => {
    const place = 3 * (Math.floor(y * inputSize) * inputSize + Math.floor(x * inputSize));
    return [...data.subarray(place, place + 3)];
  };
  return { pixels: data, at };
}

/** How the two kinds of red-green blindness and the blue-yellow one see linear RGB (Machado and others, 2009). */
const blindness = {
  protan: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deutan: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritan: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};

function linear(colour: readonly number[]): number[] {
  return colour.map((value) => (value / 255) ** 2.2);
}

function lightness([red = 0, green = 0, blue = 0]: readonly number[]): number {
  return 116 * Math.cbrt(0.2126 * red + 0.7152 * green + 0.0722 * blue) - 16;
}

const grey = new Uint8Array(pixelBytes).fill(100);

describe('the overlay', () => {
  it('colours support of the class amber and opposition blue, each by its weight', async () => {
    const { at } = await opened(
      await drawOverlay(grey, [
        [1, -1],
        [0.5, 0],
      ]),
    );
    const [red = 0, , blue = 0] = at(0.1, 0.1);
    expect(red).toBeGreaterThan(200);
    expect(blue).toBeLessThan(50);
    const [against = 0, , deepBlue = 0] = at(0.9, 0.1);
    expect(deepBlue - against).toBeGreaterThan(100);
    const [half = 0] = at(0.1, 0.9);
    expect(half).toBeGreaterThan(130);
    expect(half).toBeLessThan(red - 40);
    expect(at(0.95, 0.95)).toEqual([100, 100, 100]);
  });

  it('has the same colour everywhere when all regions weigh the same', async () => {
    const { at, pixels } = await opened(
      await drawOverlay(
        grey,
        Array.from({ length: 7 }, () => Array<number>(7).fill(0.3)),
      ),
    );
    const colour = at(0.5, 0.5);
    expect(colour).not.toEqual([100, 100, 100]);
    expect(pixels.every((value, index) => value === colour[index % 3])).toBe(true);
  });

  it('shows only the image, in grey, when the map weighs next to nothing', async () => {
    const noise = Array.from({ length: 7 }, (_, row) =>
      Array.from({ length: 7 }, (__, column) => 1e-7 * (row - column)),
    );
    const { pixels } = await opened(await drawOverlay(grey, noise));
    expect(pixels.every((value) => value === 100)).toBe(true);
    expect(strengthsOf([[0, 0]])).toEqual([[0, 0]]);
  });

  it('keeps the lightness of the image visible under the strongest colour', async () => {
    const halves = grey.map((_, index) => (Math.floor(index / 3) % inputSize < inputSize / 2 ? 20 : 230));
    const { at } = await opened(await drawOverlay(halves, [[1]]));
    const [, dark = 0] = at(0.25, 0.5);
    const [, light = 0] = at(0.75, 0.5);
    expect(light - dark).toBeGreaterThan(40);
  });

  it.each(Object.entries(blindness))('has colours that can be distinguished with %s vision', (_kind, matrix) => {
    const seen = (colour: readonly number[]): number[] => {
      const rgb = linear(colour);
      return [0, 3, 6].map((row) => rgb.reduce((sum, value, column) => sum + value * (matrix[row + column] ?? 0), 0));
    };
    const speaksFor = seen(overlayColours.for);
    const against = seen(overlayColours.against);
    expect(lightness(speaksFor) - lightness(against)).toBeGreaterThan(30);
  });
});

describe('the enlargement of a map', () => {
  it('keeps the centre of each region at its value, and interpolates linearly between them', () => {
    const side = 6;
    const enlarged = enlarge(
      [
        [0, 1],
        [2, 3],
      ],
      side,
    );
    const at = (x: number, y: number): number => enlarged[y * side + x] ?? NaN;
    expect([at(1, 1), at(4, 1), at(1, 4), at(4, 4)]).toEqual([0, 1, 2, 3]);
    expect(at(0, 0)).toBe(0);
    expect(at(5, 5)).toBe(3);
    expect(at(2, 1)).toBeCloseTo(1 / 3, 6);
    expect(at(1, 3)).toBeCloseTo(4 / 3, 6);
  });
});
