import type { ServingPolicy } from '../../contracts/promotion/policy.js';

/** Random hexadecimal digits at the end of a UUIDv7 that are compared with the share; eight are exact enough. */
const digits = 8;

/** Whether the policy captures the image of a prediction. Depends only on the id, so that all replicas agree. */
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
