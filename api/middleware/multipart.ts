import type { Request, RequestHandler, Response } from 'express';
import multer from 'multer';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.js';

/**
 * Runs one of multer's middlewares and maps what goes wrong to errors of our table:
 * `too_large`, `no_file`, `unsupported_type` for another content type, `bad_request` for a malformed form.
 */
export async function receiveForm(request: Request, response: Response, receive: RequestHandler): Promise<void> {
  if (request.is('multipart/form-data') === false) {
    throw new PerennialError(
      'unsupported_type',
      `Send multipart/form-data, not ${request.get('content-type') ?? 'a body without a content type'}.`,
    );
  }
  await new Promise<void>((resolve, reject) => {
    void receive(request, response, (error: unknown) => {
      if (error === undefined || error === null) resolve();
      else reject(formError(error));
    });
  });
}

const multerErrorSchema = z.object({ code: z.string(), field: z.string().optional(), message: z.string() });
const systemErrorSchema = z.object({ syscall: z.string() });

function formError(error: unknown): Error {
  if (error instanceof multer.MulterError) return limitError(multerErrorSchema.parse(error));
  if (!(error instanceof Error)) return new Error(String(error));
  // A full or read-only disk is our fault; everything else busboy reports is a malformed form.
  if (systemErrorSchema.safeParse(error).success) return error;
  return new PerennialError('bad_request', `The form cannot be read: ${error.message}. Check the multipart boundary.`);
}

function limitError({ code, field, message }: z.infer<typeof multerErrorSchema>): PerennialError {
  const where = field === undefined ? '' : ` in the field “${field}”`;
  switch (code) {
    case 'LIMIT_FILE_SIZE':
      return new PerennialError('too_large', `The file${where} is larger than this route accepts. Send a smaller one.`);
    case 'LIMIT_UNEXPECTED_FILE':
      return new PerennialError('bad_request', `There is an unexpected or surplus file${where}; see /docs.`);
    case 'LIMIT_FILE_COUNT':
      return new PerennialError('bad_request', 'There are more files than this route accepts. Send fewer at once.');
    default:
      return new PerennialError('bad_request', `The form is not accepted${where}: ${message}.`);
  }
}
