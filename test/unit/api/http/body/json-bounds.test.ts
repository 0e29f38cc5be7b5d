import { z } from 'zod';
import { boundsOf, parseJson } from '../../../../../api/http/body/parse-json.js';
import { parseBoundedJson } from '../../../../../api/http/body/json-bounds.js';

const bounds = { depth: 3, containers: 10, values: 20 };
const read = (text: string): unknown => parseBoundedJson(Buffer.from(text), bounds);

describe('JSON of bounded size', () => {
  it.each([
    ['depth', '[[[[]]]]', /nested more than 3 deep/],
    ['depth without end', '['.repeat(1_000_000), /nested more than 3 deep/],
    ['lists', `[${'[],'.repeat(20)}0]`, /more than 10 lists and objects/],
    ['numbers', `[${'0,'.repeat(1_000)}0]`, /more than 20 values/],
    ['text that is no JSON', '{"a" 1}', /not valid JSON/],
  ])('refuses too much of %s', (_name, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  it('refuses very many keys, whatever else is allowed', () => {
    const keys = Array.from({ length: 10_001 }, (_, key) => `"${key}":0`).join(',');
    expect(() => parseBoundedJson(Buffer.from(`{${keys}}`), { ...bounds, values: 20_000 })).toThrow(
      /more than 10000 keys/,
    );
  });

  it('does not count the contents of strings', () => {
    const text = '[{:,"\\'.repeat(10_000);
    expect(read(JSON.stringify({ [text]: [text, 1] }))).toEqual({ [text]: [text, 1] });
  });

  it('leaves a request for one image no room for other fields', () => {
    const image = z.looseObject({ image: z.string() });
    const base64 = 'A'.repeat(100_000);
    expect(parseJson(Buffer.from(JSON.stringify({ image: base64 })), image, boundsOf(1))).toEqual({ image: base64 });
    const stuffed = Buffer.from(JSON.stringify({ image: base64, more: Array(1_000).fill([]) }));
    expect(() => parseJson(stuffed, image, boundsOf(1))).toThrow(/more than 101 lists and objects/);
  });
});
