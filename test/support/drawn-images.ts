import { drawSyntheticImage, syntheticLabels } from '../../model/images/synthetic.js';

/** Class folders of drawn images by path, `perClass` images in each; a different `from` gives different images. */
export async function drawnImages(perClass: number, from = 0): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {};
  for (const label of syntheticLabels) {
    for (let index = from; index < from + perClass; index += 1) {
      files[`${label}/${String(index)}.jpg`] = await drawSyntheticImage(label, index);
    }
  }
  return files;
}
