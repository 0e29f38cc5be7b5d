/**
 * Every failure the product names, in one table: its HTTP status, whether trying again can help, and a title.
 * Compare codes, never classes: a class does not survive a process or workflow boundary.
 */
export const errorTable = {
  bad_request: { status: 400, retryable: false, title: 'The request is not well formed' },
  no_file: { status: 400, retryable: false, title: 'No file was sent' },
  not_found: { status: 404, retryable: false, title: 'There is nothing at this address' },
  method_not_allowed: { status: 405, retryable: false, title: 'This method is not offered here' },
  body_timeout: { status: 408, retryable: true, title: 'The body of the request came too slowly' },
  head_timeout: { status: 408, retryable: true, title: 'The head of the request came too slowly' },
  conflict: { status: 409, retryable: false, title: 'The request conflicts with the current state' },
  stale_promotion: { status: 409, retryable: false, title: 'Production has changed since this was decided' },
  referenced: { status: 409, retryable: false, title: 'Something else still refers to this' },
  precondition_failed: { status: 412, retryable: false, title: 'It was changed by someone else in the meantime' },
  too_large: { status: 413, retryable: false, title: 'The request is too large' },
  unsupported_type: { status: 415, retryable: false, title: 'This type of content is not supported' },
  undecodable_image: { status: 422, retryable: false, title: 'The image cannot be decoded' },
  image_too_large: { status: 422, retryable: false, title: 'The image has too many pixels' },
  image_too_small: { status: 422, retryable: false, title: 'The image is too small' },
  invalid_tensor: { status: 422, retryable: false, title: 'The tensor is out of range or has a wrong shape' },
  source_empty: { status: 422, retryable: false, title: 'The source holds no images' },
  source_not_found: { status: 422, retryable: false, title: 'The source does not exist or cannot be read' },
  source_unreachable: { status: 503, retryable: false, title: 'The source cannot be reached' },
  dataset_too_small: { status: 422, retryable: false, title: 'The dataset is too small to train on' },
  head_too_large: { status: 431, retryable: false, title: 'The address and headers of the request are too long' },
  no_model: { status: 503, retryable: true, title: 'No model is being served yet' },
  deadline_exceeded: { status: 504, retryable: true, title: 'The answer would have come too late' },
  url_not_allowed: { status: 422, retryable: false, title: 'Images are not fetched from this address' },
  url_unreachable: { status: 422, retryable: false, title: 'The image cannot be fetched from its address' },
  overloaded: { status: 429, retryable: true, title: 'Too many requests at once' },
  bundle_invalid: { status: 422, retryable: false, title: 'The model bundle is damaged or incomplete' },
  parity_failed: { status: 422, retryable: false, title: 'The exported model disagrees with its source' },
  smoke_test_failed: { status: 422, retryable: false, title: 'The model failed its smoke test' },
  checkpoint_invalid: { status: 422, retryable: false, title: 'The checkpoint is damaged or of another training' },
  training_diverged: { status: 422, retryable: false, title: 'The training did not converge' },
  stale_attempt: { status: 409, retryable: false, title: 'A newer attempt has taken this run over' },
  trainer_died: { status: 500, retryable: true, title: 'The trainer process ended before its work was done' },
  database_unavailable: { status: 503, retryable: true, title: 'The database cannot be reached' },
  object_store_unavailable: { status: 503, retryable: true, title: 'The object store cannot be reached' },
  object_store_refused: { status: 503, retryable: false, title: 'The object store refuses our access keys' },
  temporal_unavailable: { status: 503, retryable: true, title: 'Temporal cannot be reached' },
  configuration_invalid: { status: 500, retryable: false, title: 'The configuration is not valid' },
  cancelled: { status: 409, retryable: false, title: 'The work was cancelled' },
  internal: { status: 500, retryable: true, title: 'Something went wrong inside Perennial' },
} as const satisfies Record<string, { status: number; retryable: boolean; title: string }>;

export type ErrorCode = keyof typeof errorTable;

/** A failure of a known kind. `message` says what happened, why, and what to do next. */
export class PerennialError extends Error {
  override readonly name = 'PerennialError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.details = options.details ?? {};
  }

  readonly details: Readonly<Record<string, unknown>>;
}

/** The code of a failure, or `internal` when it is of no known kind. */
export function errorCodeOf(error: unknown): ErrorCode {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return isErrorCode(code) ? code : 'internal';
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorTable, code);
}

/** The text of a failure, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
