import type { Express, Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import { PerennialError, type ErrorCode } from '../../contracts/errors.js';
import { withLinksBelow, withLocationBelow } from './base-path.js';
import { answerOtherMethods } from './middleware/answer-problems.js';
import { groupBy } from './group-by.js';
import { limitBody, type BodyLimit } from './middleware/limit-body.js';
import { receiveJson } from './middleware/receive-json.js';
import { refuseUnknownQuery } from './middleware/unknown-query.js';
import { parseRequest } from './problems.js';
import { contextOf, type RouteKind } from './request-context.js';
import { sendBody } from './send.js';

/** Groups of routes, in the order of the documentation. */
export const tags = {
  serving: 'Predictions and the served model',
  pipelines: 'Workflow runs',
  datasets: 'Datasets, images and versions',
  models: 'Model registry and promotion',
  experiments: 'Training runs: parameters, metrics, artefacts, comparison',
  retraining: 'Retraining decisions',
  predictions: 'Stored predictions, feedback and lineage',
  schedules: 'Schedules of recurring workflows',
  administration: 'Audit log, notifications, erasure',
  operation: 'Health, metrics, documentation',
} as const;

/** The body of a route. Routes read forms themselves, because they know where files belong. */
export interface BodyDefinition<B extends z.ZodType> {
  kind: 'none' | 'json' | 'form' | 'form_or_json' | 'raw';
  schema: B;
  /** Shown in the documentation; for forms it is the only description. */
  documented: z.ZodType | null;
  /** JSON that may be sent instead of a form. */
  documentedJson?: z.ZodType;
  /** Content types of a `raw` body, in place of `documented`. */
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
  /** OpenAPI template, `/datasets/{name}`. */
  path: string;
  operationId: string;
  summary: string;
  tag: keyof typeof tags;
  kind?: RouteKind;
  params: P;
  /** All query parameters that the route takes; others are refused. `anyQuery` for pages. */
  query: Q;
  /** Further request headers, for OpenAPI. */
  headers?: z.ZodObject;
  body: BodyDefinition<B>;
  success: {
    status: number;
    description: string;
    schema: S;
    contentType: string;
    /** Further content types of the response, which the route sends itself. */
    otherContents?: Readonly<Record<string, z.ZodType>>;
    /** Further statuses with the same body. */
    otherStatuses?: readonly number[];
  };
  /** Documented problems; a route may answer with any. */
  problems: readonly ErrorCode[];
  /** Audit action of the route, `noun.verb`; null for routes that change nothing. */
  audit?: string | null;
  handle(input: RouteInput<P, Q, B>): Promise<Reply<z.input<S>>> | Reply<z.input<S>>;
}

/** A definition as a room writes it: parameters, query and body are optional. */
type GivenRoute<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType, S extends z.ZodType> = Omit<
  RouteDefinition<P, Q, B, S>,
  'params' | 'query' | 'body'
> &
  Partial<Pick<RouteDefinition<P, Q, B, S>, 'params' | 'query' | 'body'>>;

export interface RouteInput<P extends z.ZodObject, Q extends z.ZodObject, B extends z.ZodType> {
  params: z.output<P>;
  query: z.output<Q>;
  body: z.output<B>;
  request: Request;
  response: Response;
}

export interface Reply<T> {
  body: T;
  /** Overrides the status of `success`. */
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

const noMembers = z.object({});
/** Query of a page, asset or metrics route: browsers, links and scrapers add parameters of their own. */
export const anyQuery = z.looseObject({});
const emptyInput = { params: noMembers, query: noMembers, body: noBody };

/** A JSON body that is parsed by `schema`. A missing body is treated as `{}`. */
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
 * Makes a route from a definition: parses parameters and body by their schemas before `handle`, and the answer by its
 * schema before it is sent, so that requests and answers match the documentation.
 */
export function defineRoute<
  P extends z.ZodObject = typeof noMembers,
  Q extends z.ZodObject = typeof noMembers,
  B extends z.ZodType = z.ZodUnknown,
  S extends z.ZodType = z.ZodType,
>(given: GivenRoute<P, Q, B, S>): Route;
export function defineRoute(given: GivenRoute<z.ZodObject, z.ZodObject, z.ZodType, z.ZodType>): Route {
  const definition = { ...emptyInput, ...given };
  const { handle, ...documented } = definition;
  const answer = async (input: RouteInput<z.ZodObject, z.ZodObject, z.ZodType>): Promise<void> => {
    const { response } = input;
    const reply = await handle(input);
    if (response.headersSent) return;
    const { basePath = '' } = contextOf(input.request);
    const headers = withLocationBelow(basePath, reply.headers ?? {});
    response.status(reply.status ?? definition.success.status).set(headers);
    const body = withLinksBelow(basePath, definition.success.schema.parse(reply.body));
    if (response.get('Content-Type') === undefined) response.type(definition.success.contentType);
    await sendBody(input.request, response, bytesOf(body));
  };
  // Not async, so that the unparsed body can be freed while the answer is computed.
  const handleParsed: RequestHandler = (request, response) =>
    answer({
      params: parseRequest(definition.params, request.params, 'path'),
      query: parseRequest(definition.query, request.query, 'query'),
      body: parseRequest(definition.body.schema, jsonOf(definition.body, request), '#'),
      request,
      response,
    });
  return {
    ...documented,
    handlers: [...refuseUnknownQuery(definition), ...bodyHandlers(definition.body), handleParsed],
  };
}

function bytesOf(body: unknown): string | Uint8Array {
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  return body === undefined ? '' : JSON.stringify(body);
}

/** Mounts routes; other methods of a path are answered with 405 and `Allow`. */
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
  if (body.kind === 'form_or_json') return [limit, receiveJson(maxJsonBytes)];
  return [limit, requireJson, receiveJson(body.limit.maxBytes)];
}

/** Limit of JSON in place of a form, which contains no files. */
const maxJsonBytes = 100_000;

function isJson({ kind }: BodyDefinition<z.ZodType>, request: Request): boolean {
  return kind === 'json' || (kind === 'form_or_json' && request.is('application/json') !== false);
}

/** Refuses other content types, which `receiveJson` would leave unread. */
const requireJson: RequestHandler = (request, _response, next) => {
  if (request.is('application/json') === false && request.get('content-length') !== '0') {
    const sent = request.get('content-type') ?? 'a body without a content type';
    throw new PerennialError('unsupported_type', `Send application/json, not ${sent}.`);
  }
  next();
};

/** Input of the body schema: undefined for a form, `{}` for a missing optional body. */
function jsonOf(body: BodyDefinition<z.ZodType>, request: Request): unknown {
  if (!isJson(body, request)) return undefined;
  const sent = takeBody(request);
  if (sent === undefined && body.isRequired) {
    throw new PerennialError('bad_request', 'The request has no body. Send JSON; /docs describes it.');
  }
  return sent === undefined ? {} : sent;
}

/** Takes the parsed body from the request, so that it can be freed: it can be much larger than the sent text. */
function takeBody(request: Request): unknown {
  const body: unknown = request.body;
  request.body = undefined;
  return body;
}
