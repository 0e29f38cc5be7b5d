import { ServiceError } from '@temporalio/client';
import { toTemporalError } from '../../../platform/temporal/faults.js';

/** An error of the gRPC client, as the Temporal client wraps it. */
function refused(code: number, details: string): Error {
  const cause = Object.assign(new Error(`${code}: ${details}`), { code, details, metadata: {} });
  return new ServiceError('Failed to start Workflow', { cause });
}

describe('a Temporal whose disk is full', () => {
  it('is insufficient_storage, not an internal error', () => {
    const error = refused(13, 'database or disk is full');
    expect(toTemporalError(error, '127.0.0.1:7233')).toMatchObject({ code: 'insufficient_storage' });
  });

  it('is told apart from one that is unavailable', () => {
    expect(toTemporalError(refused(14, 'no connection'), 'here')).toMatchObject({ code: 'temporal_unavailable' });
    expect(toTemporalError(refused(13, 'a bug'), 'here')).toMatchObject({ code: 'internal' });
  });
});
