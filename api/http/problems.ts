import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import {
  errorCodeOf,
  errorTable,
  messageOf,
  PerennialError,
  systemFault,
  type ErrorCode,
} from '../../contracts/errors.js';
import { remedies } from '../../contracts/error-remedies.js';
import type { Problem } from '../../contracts/http/problem.js';
import { withoutSecrets } from '../../platform/secrets.js';
import { validate } from '../../platform/validation/validate.js';

const faultSchema = z.object({ pointer: z.string(), detail: z.string() });
/** A fault in a request: a JSON pointer and a message. */
export type RequestFault = z.infer<typeof faultSchema>;

const detailsSchema = z.object({
  errors: z.array(faultSchema).optional(),
  /** Overrides the table below. */
  retryAfterSeconds: z.number().positive().optional(),
});

/** Seconds before a retry, for codes where waiting helps. */
const retryAfterSeconds: Readonly<Partial<Record<ErrorCode, number>>> = {
  no_model: 5,
  overloaded: 1,
  deadline_exceeded: 1,
  temporal_unavailable: 5,
  database_unavailable: 5,
  object_store_unavailable: 5,
  source_unreachable: 30,
  insufficient_storage: 30,
  system_limit: 5,
};

/** More faults than anyone corrects one by one; a body of a few megabytes can have a million. */
const mostFaults = 100;

/** A `bad_request` with the faults of a request, of very many the first. */
export function invalidRequest(faults: readonly RequestFault[]): PerennialError {
  const first = faults[0];
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  const detail = first ? `${sentenceOf(first)}${more}` : 'The request is not valid.';
  return new PerennialError('bad_request', detail, { details: { errors: faults.slice(0, mostFaults) } });
}

/** A message that begins with the name of its place, or of the whole, needs no pointer before it. */
function sentenceOf({ pointer, detail }: RequestFault): string {
  return /^(`|The )/.test(detail) ? detail : `${pointer}: ${detail}`;
}

/** Names of the parts of a request, by the prefix of their pointers. */
const parts: Readonly<Record<string, string>> = { '#': 'the body', path: 'the path', query: 'the query' };

/**
 * Parses a part of a request by a schema. `prefix` begins the pointers of its faults: `#` for the body, or a place in it,
 * `query` and `path` for parameters.
 * @throws PerennialError bad_request
 */
export function parseRequest<T extends z.ZodType>(schema: T, value: unknown, prefix: string): z.output<T> {
  const { data, faults } = validate(schema, value, parts[prefix] ?? `\`${prefix}\``);
  if (faults === null) return data;
  throw invalidRequest(
    faults.map(({ path, detail }) => ({
      pointer: [prefix, ...path.map((part) => escapePointer(String(part)))].join('/'),
      detail,
    })),
  );
}

/** Maps errors of Express and malformed URLs to an error of the table. */
export function toPerennialError(error: unknown): PerennialError {
  if (error instanceof PerennialError) return error;
  const fault = systemFault(error);
  if (fault) return fault;
  if (error instanceof URIError) return new PerennialError('bad_request', 'The URL contains an invalid % sequence.');
  return new PerennialError(errorCodeOf(error), messageOf(error), { cause: error });
}

/**
 * The RFC 9457 problem for an error. Clients see no internal
 * message: an `internal` error names only the trace id to look for in the log. `instance` is the path of the request below
 * the base path.
 */
export function problemOf(error: PerennialError, instance: string, traceId: string, basePath = ''): Problem {
  const { status, title } = errorTable[error.code];
  const { errors, retryAfterSeconds: known } = detailsSchema.catch({}).parse(error.details);
  const seconds = known === undefined ? retryAfterSeconds[error.code] : Math.ceil(known);
  return {
    type: `${basePath}/problems/${error.code}`,
    title,
    status,
    detail:
      status === 500 ? `Internal error. Look for trace ${traceId} in the API log.` : withoutSecrets(error.message),
    instance: `${basePath}${instance}`,
    code: error.code,
    trace_id: traceId,
    ...(errors && { errors }),
    ...(seconds !== undefined && { retry_after_seconds: seconds }),
  };
}

/** Plain text about one kind of problem, for `GET /problems/{code}`. */
export function describeProblem(code: ErrorCode): string {
  const { status, title, retryable } = errorTable[code];
  const retry = retryable
    ? 'Retrying later can help; wait as long as Retry-After says.'
    : 'Retrying unchanged fails again.';
  return `${code}: ${title}.\n\nHTTP status ${status} ${STATUS_CODES[status] ?? ''}. ${retry}\n${remedies[code]}\n`;
}

function escapePointer(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}
