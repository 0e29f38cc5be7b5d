import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import { PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { answerOtherMethods } from './middleware/answer-problems.js';
import { groupBy } from './group-by.js';
import { limitBody, type BodyLimit } from './middleware/limit-body.js';
import { limitTime, timeForBody } from './middleware/limit-time.js';
import { faultsOf, invalidRequest } from './problems.js';
import { contextOf, type RouteKind } from './request-context.js';
import { sendBody } from './send.js';

/** Groups of routes, in the order in which the documentation shows them. */
export const tags = {
  serving: 'Predictions, and the model that makes them',
  pipelines: 'What runs: ingestion, retraining',
  datasets: 'Images and their versions',
  models: 'Model versions and why they were promoted or refused',
  experiments: 'Training runs: parameters, metrics, artefacts, comparison',
  retraining: 'When a model is trained again, and why it was or was not',
  predictions: 'What was predicted, what was right, and where it came from',
  schedules: 'What starts by itself, and when',
  administration: 'Who did what, messages sent, erasure',
  operation: 'Health, metrics, documentation',
} as const;

/** What a route takes as body. Forms are read by the route itself, which knows where the files belong. */
export interface BodyDefinition<B extends z.ZodType> {
  kind: 'none' | 'json' | 'form' | 'form_or_json' | 'raw';
  schema: B;
  /** Shown in the documentation; for forms it is the only description. */
  documented: z.ZodType | null;
  /** The JSON that may be sent instead of a form. */
  documentedJson?: z.ZodType;
  /** The contents a `raw` body may have, by content type; they take the place of `documented`. */
  documentedContents?: Readonly<Record<string, z.ZodType>>;
  isRequired: boolean;
  limit: BodyLimit;
}

export interface RouteDefinition<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  S extends z.ZodType,
> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** Template in OpenAPI's spelling, `/datasets/{name}`. */
  path: string;
  operationId: string;
  summary: string;
  tag: keyof typeof tags;
  kind?: RouteKind;
  params: P;
  query: Q;
  /** Headers it reads beside the usual ones, for the documentation. */
  headers?: z.ZodObject;
  body: BodyDefinition<B>;
  success: {
    status: number;
    description: string;
    schema: S;
    contentType: string;
    /** What else an answer may hold, by content type; the route sends it itself. */
    otherContents?: Readonly<Record<string, z.ZodType>>;
    /** Further statuses that carry the same body. */
    otherStatuses?: readonly number[];
  };
  /** Problems this route is known for; every route may answer with any. */
  problems: readonly ErrorCode[];
  /** What the audit log calls the change this route makes, `noun.verb`; null when it makes none, as with every GET. */
  audit?: string | null;
  handle(input: RouteInput<P, Q, B>): Promise<Reply<z.input<S>>> | Reply<z.input<S>>;
}

export interface RouteInput<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType> {
  params: z.output<P>;
  query: z.output<Q>;
  body: z.output<B>;
  request: Request;
  response: Response;
}

export interface Reply<T> {
  body: T;
  /** When it is not the one of `success`. */
  status?: number;
  headers?: Readonly<Record<string, string>>;
}

/** A route as the application and the OpenAPI document see it. */
export interface Route extends Omit<RouteDefinition<z.ZodObject, z.ZodObject, z.ZodType, z.ZodType>, 'handle'> {
  handlers: readonly RequestHandler[];
}

const noBody: BodyDefinition<z.ZodUnknown> = {
  kind: 'none',
  schema: z.unknown(),
  documented: null,
  isRequired: false,
  limit: { maxBytes: 1_000_000 },
};

/** Defaults for routes without parameters and body. */
export const nothing = { params: z.object({}), query: z.object({}), body: noBody };

/** A JSON body that is parsed by `schema`. A body that is left away counts as `{}`. */
export function jsonBody<B extends z.ZodType>(schema: B, limit: BodyLimit, isRequired = false): BodyDefinition<B> {
  return { kind: 'json', schema, documented: schema, isRequired, limit };
}

/** A multipart body. `documented` describes its fields; the route reads it with `receiveFiles`. */
export function formBody(documented: z.ZodObject, limit: BodyLimit): BodyDefinition<z.ZodUnknown> {
  return { kind: 'form', schema: z.unknown(), documented, isRequired: true, limit };
}

/** A multipart body as `formBody`, or JSON that is parsed by `schema`; for a form the parsed body is undefined. */
export function formOrJsonBody<B extends z.ZodType>(
  documented: z.ZodObject,
  schema: B,
  limit: BodyLimit,
): BodyDefinition<z.ZodOptional<B>> {
  return {
    kind: 'form_or_json',
    schema: schema.optional(),
    documented,
    documentedJson: schema,
    isRequired: true,
    limit,
  };
}

/**
 * A body that the route reads itself, with `readBody`. It looks
 * at the content type as well.
 */
export function rawBody(
  documentedContents: Readonly<Record<string, z.ZodType>>,
  limit: BodyLimit,
): BodyDefinition<z.ZodUnknown> {
  return { kind: 'raw', schema: z.unknown(), documented: null, documentedContents, isRequired: true, limit };
}

/** A successful answer in JSON. */
export function json<S extends z.ZodType>(
  schema: S,
  description: string,
  status = 200,
): RouteDefinition<z.ZodObject, z.ZodObject, z.ZodType, S>['success'] {
  return { status, description, schema, contentType: 'application/json' };
}

/** A successful answer in another text format. */
export function text(
  contentType: string,
  description: string,
  status = 200,
): RouteDefinition<z.ZodObject, z.ZodObject, z.ZodType, z.ZodString>['success'] {
  return { status, description, schema: z.string(), contentType };
}

/**
 * Makes a route of a definition: parameters and body are parsed by their schemas before `handle` sees them, and the
 * answer by its schema before it leaves, so that nothing undocumented comes in or goes out.
 */
export function defineRoute<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType, S extends z.ZodType>(
  definition: RouteDefinition<P, Q, B, S>,
): Route {
  const { handle, ...documented } = definition;
  const answer = async (input: RouteInput<P, Q, B>): Promise<void> => {
    const { response } = input;
    const reply = await handle(input);
    if (response.headersSent) return;
    response.status(reply.status ?? definition.success.status).set(reply.headers ?? {});
    const body: unknown = definition.success.schema.parse(reply.body);
    if (response.get('Content-Type') === undefined) response.type(definition.success.contentType);
    await sendBody(input.request, response, bytesOf(body));
  };
  // Not async, so that nothing holds on to the unparsed body while the answer is on its way.
  const handleParsed: RequestHandler = (request, response) =>
    answer({
      params: parse(definition.params, request.params, 'path'),
      query: parse(definition.query, request.query, 'query'),
      body: parse(definition.body.schema, jsonOf(definition.body, request), '#'),
      request,
      response,
    });
  return { ...documented, handlers: [...bodyHandlers(definition.body), handleParsed] };
}

function bytesOf(body: unknown): string | Uint8Array {
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  return body === undefined ? '' : JSON.stringify(body);
}

/** Puts routes into an application; a path's other methods are answered with 405 and `Allow`. */
export function mountRoutes(app: Express, routes: readonly Route[]): void {
  const byPath = groupBy(routes, (route) => route.path);
  for (const [path, ofPath] of byPath) {
    const mounted = app.route(path.replaceAll(/\{(\w+)\}/g, ':$1'));
    const kind = ofPath.find((route) => route.kind)?.kind;
    mounted.all((request, _response, next) => {
      Object.assign(contextOf(request), { route: path, kind });
      next();
    });
    for (const route of ofPath) mounted[route.method](...route.handlers);
    mounted.all(answerOtherMethods(ofPath.map((route) => route.method)));
  }
}

function bodyHandlers(body: BodyDefinition<z.ZodType>): RequestHandler[] {
  if (body.kind === 'none') return [];
  const limit = limitBody(body.limit);
  if (body.kind === 'form' || body.kind === 'raw') return [limit];
  if (body.kind === 'form_or_json')
    return [limit, limitTime(timeForBody(maxJsonBytes)), express.json({ limit: maxJsonBytes, strict: false })];
  return [
    limit,
    requireJson,
    limitTime(timeForBody(body.limit.maxBytes)),
    express.json({ limit: body.limit.maxBytes, strict: false }),
  ];
}

/** JSON beside a form is no place for files. */
const maxJsonBytes = 100_000;

function isJson({ kind }: BodyDefinition<z.ZodType>, request: Request): boolean {
  return kind === 'json' || (kind === 'form_or_json' && request.is('application/json') !== false);
}

/** Express's parser skips what is not JSON; a client that sends something else is told so. */
const requireJson: RequestHandler = (request, _response, next) => {
  if (request.is('application/json') === false && request.get('content-length') !== '0') {
    const sent = request.get('content-type') ?? 'a body without a content type';
    throw new PerennialError('unsupported_type', `Send application/json, not ${sent}.`);
  }
  next();
};

function parse<T extends z.ZodType>(schema: T, value: unknown, prefix: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidRequest(faultsOf(parsed.error, prefix));
  return parsed.data;
}

/** What a route's schema is given: nothing for a form, `{}` for a body left away that may be. */
function jsonOf(body: BodyDefinition<z.ZodType>, request: Request): unknown {
  if (!isJson(body, request)) return undefined;
  const sent = takeBody(request);
  if (sent === undefined && body.isRequired) {
    throw new PerennialError('bad_request', 'The request has no body. Send JSON; /docs shows what it holds.');
  }
  return sent === undefined ? {} : sent;
}

/** The body as Express parsed it, which the request lets go of: it can be many times larger than what was sent. */
function takeBody(request: Request): unknown {
  const body: unknown = request.body;
  request.body = undefined;
  return body;
}
