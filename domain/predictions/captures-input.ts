import type { ServingPolicy } from '../../contracts/promotion/policy.js';

/** Hexadecimal digits at the end of a UUIDv7 that are random, as many as make a share exact enough. */
const digits = 8;

/** Whether the policy keeps the picture of a prediction. The same id gives the same answer, wherever it is asked. */
export function capturesInput(predictionId: string, { keepInputs, inputShare }: ServingPolicy): boolean {
  switch (keepInputs) {
    case 'none':
      return false;
    case 'all':
      return true;
    case 'sample':
      return Number.parseInt(predictionId.slice(-digits), 16) / 16 ** digits < inputShare;
  }
}
