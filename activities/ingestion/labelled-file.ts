import { labelSchema } from '../../contracts/datasets/datasets.js';
import type { FoundFile } from '../../stores/datasets/scan-rows.js';

/** A file under the label that a name stands for, or refused because the name is no label. `what` is the kind of name. */
export function labelledFile(path: string, name: string, what: string): FoundFile {
  const label = labelSchema.safeParse(name);
  if (label.success) return { path, label: label.data };
  const why = label.error.issues.map(({ message }) => message).join('; ');
  return { path, label: null, refusal: { reason: 'bad_label', detail: `The ${what} is not a valid label: ${why}` } };
}
