import { hash } from 'node:crypto';
import type { ImageFacts } from '../../contracts/datasets/datasets.js';

export interface DvcDirectory {
  /** Exactly the bytes that DVC would write; its hash depends on them. */
  json: string;
  /** MD5 of the bytes; a `.dvc` file names it with the suffix `.dir`. */
  md5: string;
}

/** DVC's listing of a version as a folder of class folders, so that `dvc pull` can fetch it from the raw images in the bucket. */
export function dvcDirectory(images: readonly (ImageFacts & { label: string })[]): DvcDirectory {
  const entries = images
    .map(({ md5, sha256, label, format }) => ({ md5, relpath: `${label}/${sha256}.${extensions[format]}` }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.relpath), Buffer.from(b.relpath)));
  const json = `[${entries.map(({ md5, relpath }) => `{"md5": "${md5}", "relpath": ${asciiJson(relpath)}}`).join(', ')}]`;
  return { json, md5: hash('md5', json) };
}

const extensions = { jpeg: 'jpg', png: 'png', webp: 'webp' } as const;

/** A JSON string as Python writes it: all non-ASCII characters escaped. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
