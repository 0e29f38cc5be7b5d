import type { BatchRow } from '../../contracts/batch-predictions/batch-predictions.js';

type Cell = string | number | boolean | null;

/** A column of a table of predictions. */
export interface ResultColumn {
  name: string;
  type: 'STRING' | 'INT32' | 'DOUBLE' | 'BOOLEAN';
  read(row: BatchRow): Cell;
}

/** Columns of a table of predictions: the same in every format, with one probability for each class. */
export function resultColumns(labels: readonly string[]): ResultColumn[] {
  return [
    { name: 'item', type: 'INT32', read: ({ item }) => item },
    { name: 'name', type: 'STRING', read: ({ name }) => name },
    { name: 'image_sha256', type: 'STRING', read: ({ imageSha256 }) => imageSha256 },
    { name: 'label', type: 'STRING', read: ({ label }) => label },
    { name: 'prediction', type: 'STRING', read: ({ prediction }) => prediction },
    { name: 'confidence', type: 'DOUBLE', read: ({ confidence }) => confidence },
    { name: 'variant', type: 'STRING', read: ({ variant }) => variant },
    { name: 'abstained', type: 'BOOLEAN', read: ({ abstained }) => abstained },
    { name: 'unfamiliar', type: 'BOOLEAN', read: ({ unfamiliar }) => unfamiliar },
    { name: 'distance', type: 'DOUBLE', read: ({ distance }) => distance },
    { name: 'error_code', type: 'STRING', read: ({ errorCode }) => errorCode },
    { name: 'error', type: 'STRING', read: ({ error }) => error },
    ...labels.map((label, index): ResultColumn => {
      return {
        name: `probability_${label}`,
        type: 'DOUBLE',
        read: ({ probabilities }) => probabilities[index] ?? null,
      };
    }),
  ];
}
