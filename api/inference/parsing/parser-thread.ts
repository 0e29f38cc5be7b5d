import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { messageOf, PerennialError } from '../../../contracts/errors.js';
import { parseBoundedJson, type JsonBounds } from '../../http/body/json-bounds.js';
import type { Invocation } from '../invocations/read-invocation.js';
import type { ReadQuestion } from '../v2/question.js';
import { parseReplySchema, type ParseJob } from './messages.js';

/** A longer body of JSON is parsed in the thread: one image as numbers takes 640 kB and a few milliseconds. */
const shortBytes = 1_000_000;

/** More bodies are refused. One of 32 MB takes about two seconds. */
const mostWaiting = 8;

/** Parsed, 32 MB of the smallest lists take half of this. */
const maxHeapMb = 1_024;

/** Whether a body of JSON would hold up the event loop for so long that it belongs into the parser thread. */
export function isLong(body: Uint8Array): boolean {
  return body.length > shortBytes;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: PerennialError) => void;
}

/**
 * A thread that parses long bodies, one after another: parsing 32 MB of JSON takes seconds, during which the event loop
 * must answer others. It is started for the first such body. A body is moved into the thread and is empty here
 * afterwards.
 */
export class ParserThread {
  #worker: Worker | null = null;
  readonly #waiting: Waiting[] = [];

  constructor(private readonly heapMb = maxHeapMb) {}

  /** As `readInvocation`. */
  invocation(body: Buffer<ArrayBuffer>): Promise<Invocation> {
    return this.#parse({ kind: 'invocation', body }, body.buffer, invocationSchema);
  }

  /** As `readQuestion` for a body that is all JSON. */
  question(body: Buffer<ArrayBuffer>): Promise<ReadQuestion> {
    return this.#parse({ kind: 'question', body }, body.buffer, questionSchema);
  }

  /** As `parseBoundedJson`. */
  json(body: Buffer<ArrayBuffer>, bounds: JsonBounds): Promise<unknown> {
    return this.#parse({ kind: 'json', body, bounds }, body.buffer, z.unknown());
  }

  async #parse<T>(job: ParseJob, memory: ArrayBuffer, schema: z.ZodType<T>): Promise<T> {
    if (this.#waiting.length >= mostWaiting) {
      const detail = `${this.#waiting.length} long bodies wait to be parsed. Retry later, or send tensors in binary.`;
      throw new PerennialError('overloaded', detail);
    }
    const worker = (this.#worker ??= this.#start());
    const parsed = new Promise<unknown>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    worker.postMessage(job, [memory]);
    return schema.parse(await parsed);
  }

  #start(): Worker {
    const url = new URL('./parse-worker.js', import.meta.url);
    const worker = new Worker(url, { resourceLimits: { maxOldGenerationSizeMb: this.heapMb } });
    let failure = 'it ended';
    worker.on('message', (message: unknown) => this.#settle(message));
    worker.on('error', (error: unknown) => (failure = messageOf(error)));
    worker.on('exit', () => this.#end(failure));
    // An idle parser keeps no process alive.
    worker.unref();
    return worker;
  }

  #settle(message: unknown): void {
    const waiting = this.#waiting.shift();
    const reply = parseReplySchema.safeParse(message);
    if (!reply.success) waiting?.reject(new PerennialError('internal', 'The parser thread gave no valid reply.'));
    else if (reply.data.type === 'parsed') waiting?.resolve(reply.data.value);
    else {
      const { code, message: text, details } = reply.data;
      waiting?.reject(new PerennialError(code, text, { details }));
    }
  }

  /** The thread ended, which only memory can cause: by the body in progress. */
  #end(failure: string): void {
    this.#worker = null;
    const [first, ...others] = this.#waiting.splice(0);
    first?.reject(new PerennialError('too_large', `The body cannot be parsed (${failure}). Send fewer images.`));
    const detail = 'The parser was lost to another body. Send the request again.';
    for (const waiting of others) waiting.reject(new PerennialError('overloaded', detail));
  }
}

/** One for the process. */
export const parserThread = new ParserThread();

/** As `parseBoundedJson`; a long body is parsed in the thread: the result is a promise, and the body is empty here afterwards. */
export function parseJsonAside(body: Buffer<ArrayBuffer>, bounds: JsonBounds): unknown {
  return isLong(body) ? parserThread.json(body, bounds) : parseBoundedJson(body, bounds);
}

// The thread has checked them: a second check would take as long as the first.
const invocationSchema = z.custom<Invocation>((value) => typeof value === 'object');
const questionSchema = z.custom<ReadQuestion>((value) => typeof value === 'object');
