import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inputSize } from '../../../contracts/training/training.js';
import { decodePixels } from '../../../model/images/decode.js';
import { minimumSide } from '../../../model/images/header.js';

const limits = { maxPixels: 100_000_000, maxBytes: 20_000_000, minSide: minimumSide };
const boundary = 'perennial-bench';

export const protocols = ['JPEG form', 'JPEG body', 'JSON tensor', 'V2 binary'] as const;
export type Protocol = (typeof protocols)[number];

/** Writes whole HTTP requests, one per image, for each protocol; returns their files. */
export async function writeRequests(
  folder: string,
  modelName: string,
  imagePaths: readonly string[],
): Promise<Record<Protocol, string[]>> {
  const files: Record<Protocol, string[]> = { 'JPEG form': [], 'JPEG body': [], 'JSON tensor': [], 'V2 binary': [] };
  for (const [index, path] of imagePaths.entries()) {
    const bytes = await readFile(path);
    const pixels = await decodePixels(bytes, limits);
    for (const protocol of protocols) {
      const file = join(folder, `${protocol.replace(' ', '-')}-${index}`);
      await writeFile(file, requestOf(protocol, modelName, bytes, pixels));
      files[protocol].push(file);
    }
  }
  return files;
}

function requestOf(protocol: Protocol, modelName: string, bytes: Uint8Array, pixels: Uint8Array): Uint8Array {
  switch (protocol) {
    case 'JPEG form':
      return post('/predict', `multipart/form-data; boundary=${boundary}`, formOf(bytes));
    case 'JPEG body':
      return post('/predict', 'image/jpeg', bytes);
    case 'JSON tensor':
      return post('/invocations', 'application/json', Buffer.from(JSON.stringify({ inputs: [nested(pixels)] })));
    case 'V2 binary':
      return v2Request(modelName, pixels);
  }
}

/** A request for an explanation of an image. */
export function explainRequest(bytes: Uint8Array): Uint8Array {
  return post('/explain', 'image/jpeg', bytes);
}

function v2Request(modelName: string, pixels: Uint8Array): Uint8Array {
  const head = Buffer.from(
    JSON.stringify({
      inputs: [
        {
          name: 'image',
          shape: [1, inputSize, inputSize, 3],
          datatype: 'UINT8',
          parameters: { binary_data_size: pixels.length },
        },
      ],
      outputs: [{ name: 'probabilities', parameters: { binary_data: true } }],
    }),
  );
  const path = `/v2/models/${modelName}/infer`;
  return post(path, 'application/octet-stream', Buffer.concat([head, pixels]), {
    'Inference-Header-Content-Length': String(head.length),
  });
}

function post(path: string, type: string, body: Uint8Array, headers: Record<string, string> = {}): Uint8Array {
  const all = { Host: '127.0.0.1', 'Content-Type': type, 'Content-Length': String(body.length), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body]);
}

function formOf(bytes: Uint8Array): Uint8Array {
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
}

function nested(pixels: Uint8Array): number[][][] {
  const at = (y: number, x: number): number[] => [
    ...pixels.subarray((y * inputSize + x) * 3, (y * inputSize + x) * 3 + 3),
  ];
  return Array.from({ length: inputSize }, (_, y) => Array.from({ length: inputSize }, (__, x) => at(y, x)));
}
