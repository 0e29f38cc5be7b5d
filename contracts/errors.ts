/**
 * Every failure of the product: HTTP status, whether a retry can help, title.
 * Compare codes, never classes: a class does not survive a process or workflow boundary.
 */
export const errorTable = {
  bad_request: { status: 400, retryable: false, title: 'Invalid request' },
  unknown_parameter: { status: 400, retryable: false, title: 'Unknown query parameter' },
  no_file: { status: 400, retryable: false, title: 'File missing' },
  foreign_origin: { status: 403, retryable: false, title: 'Request from another origin' },
  source_not_allowed: { status: 403, retryable: false, title: 'Source folder not allowed' },
  not_found: { status: 404, retryable: false, title: 'Not found' },
  method_not_allowed: { status: 405, retryable: false, title: 'Method not allowed' },
  body_timeout: { status: 408, retryable: true, title: 'Request body timeout' },
  head_timeout: { status: 408, retryable: true, title: 'Request header timeout' },
  conflict: { status: 409, retryable: false, title: 'Conflict with the current state' },
  run_in_progress: { status: 409, retryable: false, title: 'Another run is in progress' },
  stale_promotion: { status: 409, retryable: false, title: 'Production has changed' },
  version_without_file: { status: 409, retryable: false, title: 'Version without a file' },
  referenced: { status: 409, retryable: false, title: 'Still referenced' },
  precondition_failed: { status: 412, retryable: false, title: 'Precondition failed' },
  too_large: { status: 413, retryable: false, title: 'Request too large' },
  unsupported_type: { status: 415, retryable: false, title: 'Unsupported content type' },
  foreign_host: { status: 421, retryable: false, title: 'Host not allowed' },
  undecodable_image: { status: 422, retryable: false, title: 'Image cannot be decoded' },
  image_too_large: { status: 422, retryable: false, title: 'Image has too many pixels' },
  image_too_small: { status: 422, retryable: false, title: 'Image too small' },
  invalid_tensor: { status: 422, retryable: false, title: 'Invalid tensor' },
  source_empty: { status: 422, retryable: false, title: 'Source has no images' },
  source_invalid: { status: 422, retryable: false, title: 'Source cannot be read' },
  archive_invalid: { status: 422, retryable: false, title: 'Archive refused' },
  source_layout: { status: 422, retryable: false, title: 'Source layout not understood' },
  split_undecided: { status: 422, retryable: false, title: 'Existing split' },
  source_not_found: { status: 422, retryable: false, title: 'Source not found' },
  source_unreachable: { status: 503, retryable: false, title: 'Source unreachable' },
  dataset_too_small: { status: 422, retryable: false, title: 'Dataset too small' },
  head_too_large: { status: 431, retryable: false, title: 'Request headers too large' },
  no_model: { status: 503, retryable: true, title: 'No model in Production' },
  model_retired: { status: 503, retryable: false, title: 'Model retired' },
  deadline_exceeded: { status: 504, retryable: true, title: 'Deadline exceeded' },
  url_not_allowed: { status: 422, retryable: false, title: 'Image address not allowed' },
  url_unreachable: { status: 422, retryable: false, title: 'Image address unreachable' },
  overloaded: { status: 429, retryable: true, title: 'Too many requests' },
  bundle_invalid: { status: 422, retryable: false, title: 'Model bundle invalid' },
  parity_failed: { status: 422, retryable: false, title: 'Exported model disagrees with its source' },
  smoke_test_failed: { status: 422, retryable: false, title: 'Smoke test failed' },
  checkpoint_invalid: { status: 422, retryable: false, title: 'Checkpoint invalid' },
  training_diverged: { status: 422, retryable: false, title: 'Training diverged' },
  stale_attempt: { status: 409, retryable: false, title: 'Attempt superseded' },
  trainer_died: { status: 500, retryable: true, title: 'Trainer process died' },
  database_unavailable: { status: 503, retryable: true, title: 'Database unavailable' },
  object_store_unavailable: { status: 503, retryable: true, title: 'Object store unavailable' },
  object_store_refused: { status: 503, retryable: false, title: 'Object store access denied' },
  temporal_unavailable: { status: 503, retryable: true, title: 'Temporal unavailable' },
  insufficient_storage: { status: 507, retryable: true, title: 'Insufficient storage' },
  system_limit: { status: 503, retryable: true, title: 'Limit of the operating system reached' },
  configuration_invalid: { status: 500, retryable: false, title: 'Invalid configuration' },
  cancelled: { status: 409, retryable: false, title: 'Cancelled' },
  internal: { status: 500, retryable: true, title: 'Internal error' },
} as const satisfies Record<string, { status: number; retryable: boolean; title: string }>;

export type ErrorCode = keyof typeof errorTable;

/** A failure with a code. `message` says what happened, why, and what to do next. */
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

/** The code of a failure, or `internal` for an unknown one. */
export function errorCodeOf(error: unknown): ErrorCode {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (isErrorCode(code)) return code;
  return systemFaultOf(code)?.code ?? 'internal';
}

/** The code that Node.js, Postgres or a library gave an error, such as `ENOENT`; empty for an error without one. */
export function systemCodeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

/** Faults of the operating system that pass when the operator makes room, by the code of Node.js. */
const systemFaults: Readonly<Record<string, { code: ErrorCode; what: string }>> = {
  ENOSPC: { code: 'insufficient_storage', what: 'The disk is full' },
  EDQUOT: { code: 'insufficient_storage', what: 'The disk quota of this user is used up' },
  EROFS: { code: 'insufficient_storage', what: 'The file system is read-only' },
  EMFILE: { code: 'system_limit', what: 'This process has too many open files' },
  ENFILE: { code: 'system_limit', what: 'This machine has too many open files' },
  ENOMEM: { code: 'system_limit', what: 'The operating system gives this process no more memory' },
};

function systemFaultOf(code: unknown): { code: ErrorCode; what: string } | undefined {
  return typeof code === 'string' && Object.hasOwn(systemFaults, code) ? systemFaults[code] : undefined;
}

/** A full or read-only disk, or a limit of the system, as a failure of the table; null for any other error. */
export function systemFault(error: unknown): PerennialError | null {
  if (error instanceof PerennialError) return null;
  const systemCode = systemCodeOf(error);
  const fault = systemFaultOf(systemCode);
  if (fault === undefined) return null;
  const { code, what } = fault;
  const advice =
    code === 'insufficient_storage'
      ? 'Free space or make it writable; the work continues then, without a restart.'
      : 'Retry with less work at once, or raise the limit (see ulimit) and restart.';
  // Without the message, which names paths that a client must not see.
  return new PerennialError(code, `${what} (${systemCode}). ${advice}`, { cause: error });
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorTable, code);
}

/** The text of a failure, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
