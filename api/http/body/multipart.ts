import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { Request, RequestHandler, Response } from 'express';
import multer from 'multer';
import { z } from 'zod';
import { messageOf, PerennialError } from '../../../contracts/errors.js';
import { sendProblem } from '../middleware/answer-problems.js';
import { clientOf } from '../client-address.js';
import { bodyTooLarge } from './body-faults.js';
import { fileElsewhere, noFileIn } from './form-fields.js';
import { PartHeaderWriter } from './part-header-writer.js';
import type { UploadQuota, UploadUnderWay } from './upload-quota.js';
import { watchBody, type Pace } from './watch-body.js';

export interface FileFormOptions {
  /** Parent of the temporary folder of each request. */
  uploadFolder: string;
  quota: UploadQuota;
  /** Limit of the whole body, independent of its declared length. */
  maxBytes: number;
  limits: multer.Options['limits'] & { files: number };
  /** What to send, for a form without files. */
  noFile: string;
  pace?: Pace;
}

/** Faults of a form with files and of storing them, for the `problems` of its route. */
export const fileFormProblems = [
  'bad_request',
  'no_file',
  'too_large',
  'unsupported_type',
  'overloaded',
  'insufficient_storage',
  'object_store_unavailable',
  'object_store_refused',
  'database_unavailable',
] as const;

/** The field of the files. */
const field = 'files';
const fieldsSchema = z.record(z.string(), z.unknown()).catch({});

/**
 * Receives the files of a form (field `files`) into a folder that is removed after `use`; the other fields are in
 * `request.body`. The body must be unread. Throws `too_large`, `no_file`, `unsupported_type` for another content type, `bad_request` for a
 * malformed form, `insufficient_storage` and `overloaded` as the quota says.
 */
export async function receiveFiles<T>(
  request: Request,
  response: Response,
  { uploadFolder, quota, maxBytes, limits, noFile, pace }: FileFormOptions,
  use: (files: ReceivedFile[], folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(uploadFolder, randomUUID());
  const declared = request.get('content-length');
  const upload = await quota.admit(clientOf(request), declared === undefined ? null : Number(declared));
  try {
    const options = { maxBytes, pace, storage: storeIn(folder), limits, upload };
    await receiveForm(request, response, options, (upload) => upload.array(field, limits.files));
    const files = receivedFilesSchema.parse(request.files ?? []);
    if (files.length === 0) throw noFileIn(field, Object.keys(fieldsSchema.parse(request.body)), noFile);
    await quota.requireRoom(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    return await use(files, folder);
  } finally {
    // Retries while there are too many open files: a folder that stays would occupy the disk until the next start.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }).catch(() => undefined);
    upload.end();
  }
}

interface FormOptions {
  /** Limit of the whole body, independent of its declared length. */
  maxBytes: number;
  pace: Pace | undefined;
  storage: multer.StorageEngine;
  upload: UploadUnderWay;
  limits?: multer.Options['limits'];
}

/**
 * Receives a form with multer; `pick` declares the expected files. The body must be unread. Throws `too_large`, `no_file`, `unsupported_type` for another content type, `bad_request` for a
 * malformed form. The caller removes files received before the error, because one may still be closing.
 */
async function receiveForm(
  request: Request,
  response: Response,
  { maxBytes, pace, upload, ...options }: FormOptions,
  pick: (upload: multer.Multer) => RequestHandler,
): Promise<void> {
  if (request.is('multipart/form-data') === false) {
    throw new PerennialError(
      'unsupported_type',
      `Send multipart/form-data, not ${request.get('content-type') ?? 'a body without a content type'}.`,
    );
  }
  const feeding = {
    ...options,
    defParamCharset: 'utf8',
    streamHandler: (_request: unknown, parser: Writable) => feed(request, response, parser, { maxBytes, pace, upload }),
  };
  await new Promise<void>((resolve, reject) => {
    void pick(multer(feeding))(request, response, (error: unknown) => {
      if (error === undefined || error === null) resolve();
      else reject(formError(error));
    });
  });
}

/**
 * Pipes a body to the form parser, up to `maxBytes`, not slower than `pace`, and while the quota allows it. A refused body
 * is answered at once, because multer reports errors only after the client has sent everything.
 */
function feed(
  request: Request,
  response: Response,
  parser: Writable,
  { maxBytes, pace, upload }: Pick<FormOptions, 'maxBytes' | 'pace' | 'upload'>,
): void {
  let received = 0;
  const refuse = (error: PerennialError): void => {
    stopWatch();
    request.off('data', count).unpipe(respelled);
    sendProblem(request, response, error);
    parser.destroy(error);
  };
  const count = (chunk: Buffer): void => {
    received += chunk.length;
    if (received > maxBytes) refuse(bodyTooLarge(maxBytes));
    else upload.add(chunk.length);
  };
  const respelled = new PartHeaderWriter(request.headers['content-type'] ?? '', field).on('error', (error) => {
    refuse(error instanceof PerennialError ? error : new PerennialError('internal', error.message, { cause: error }));
  });
  upload.onRefusal(refuse);
  const stopWatch = watchBody(request, refuse, pace);
  request.on('data', count).pipe(respelled).pipe(parser);
}

/** Stores files in `folder`, which is created for the first one. */
function storeIn(folder: string): multer.StorageEngine {
  return multer.diskStorage({
    destination: (_request, _file, done) => {
      mkdir(folder, { recursive: true }).then(
        () => done(null, folder),
        (error: unknown) => done(error instanceof Error ? error : new Error(messageOf(error)), folder),
      );
    },
    // Use our own names: the client's are untrusted and may repeat.
    filename: (_request, _file, done) => done(null, randomUUID()),
  });
}

const receivedFilesSchema = z.array(
  z
    .object({ originalname: z.string(), path: z.string(), size: z.number() })
    .transform(({ originalname, path, size }) => ({ name: originalname, path, sizeBytes: size })),
);

/** A received file on the local disk; `name` is the client's file name. */
export type ReceivedFile = z.output<typeof receivedFilesSchema>[number];

const multerErrorSchema = z.object({ code: z.string(), field: z.string().optional(), message: z.string() });
const systemErrorSchema = z.object({ syscall: z.string() });

function formError(error: unknown): Error {
  if (error instanceof PerennialError) return error;
  if (error instanceof multer.MulterError) return limitError(multerErrorSchema.parse(error));
  if (!(error instanceof Error)) return new Error(String(error));
  // A full or read-only disk is a server error; all other errors of busboy are malformed forms.
  if (systemErrorSchema.safeParse(error).success) return error;
  return new PerennialError('bad_request', `The form cannot be read: ${error.message}. Check the multipart boundary.`);
}

function limitError({ code, field: sent, message }: z.infer<typeof multerErrorSchema>): PerennialError {
  const where = sent === undefined ? '' : ` in the field “${sent}”`;
  switch (code) {
    case 'LIMIT_FILE_SIZE':
      return new PerennialError('too_large', `The file${where} is larger than this route accepts. Send a smaller one.`);
    case 'LIMIT_UNEXPECTED_FILE':
      if (sent !== field) return fileElsewhere(sent ?? '', field);
      return tooMany();
    case 'LIMIT_FILE_COUNT':
      return tooMany();
    default:
      return new PerennialError('bad_request', `The form is not accepted${where}: ${message}.`);
  }
}

function tooMany(): PerennialError {
  return new PerennialError('bad_request', 'There are more files than this route accepts. Send fewer at once.');
}
