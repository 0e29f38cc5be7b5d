import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  RetryState,
  TimeoutFailure,
  TimeoutType,
} from '@temporalio/common';
import { failureOf } from '../../../workflows/failure.js';

function wrapped(cause: Error): Error {
  const activity = new ActivityFailure(
    'Activity task failed',
    'fitModel',
    '1',
    RetryState.NON_RETRYABLE_FAILURE,
    'w',
    cause,
  );
  return new ChildWorkflowFailure(
    'default',
    { workflowId: 'w', runId: 'r' },
    'trainModel',
    RetryState.NON_RETRYABLE_FAILURE,
    activity,
  );
}

describe('failureOf', () => {
  it('looks through the wrappers to the failure with a code', () => {
    expect(failureOf(wrapped(ApplicationFailure.nonRetryable('too few', 'dataset_too_small')))).toEqual({
      code: 'dataset_too_small',
      message: 'too few',
    });
  });

  it('uses the code internal for a failure without a code and keeps its message', () => {
    expect(failureOf(new Error('odd'))).toEqual({ code: 'internal', message: 'odd' });
  });

  it('uses the innermost message when no failure has a code', () => {
    const timeout = new TimeoutFailure('activity Heartbeat timeout', undefined, TimeoutType.HEARTBEAT);
    expect(failureOf(wrapped(timeout))).toEqual({ code: 'internal', message: 'activity Heartbeat timeout' });
  });

  it('recognizes a cancellation inside a wrapper', () => {
    const child = new ChildWorkflowFailure(
      'default',
      { workflowId: 'w', runId: 'r' },
      'trainModel',
      RetryState.NON_RETRYABLE_FAILURE,
      new CancelledFailure('stop'),
    );
    expect(failureOf(child).code).toBe('cancelled');
  });
});
