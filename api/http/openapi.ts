import { OpenApiGeneratorV31, OpenAPIRegistry, type ResponseConfig } from '@asteasolutions/zod-to-openapi';
import type { z } from 'zod';
import { errorTable, type ErrorCode } from '../../contracts/errors.js';
import { problemSchema } from '../../contracts/http/problem.js';
import { v2ProblemSchema } from '../../contracts/inference/http-v2.js';
import { problemFormatOf } from './problem-format.js';
import { groupBy } from './group-by.js';
import type { ApiSettings } from './settings.js';
import { anyQuery, tags, type Route } from './route.js';

/** The OpenAPI 3.1 document of the routes. Schemas with an id in their `meta` become components. */
export function buildOpenApiDocument(
  routes: readonly Route[],
  { version, basePath }: Pick<ApiSettings, 'version' | 'basePath'>,
): object {
  const registry = new OpenAPIRegistry();
  for (const route of routes) {
    registry.registerPath({
      method: route.method,
      path: route.path,
      operationId: route.operationId,
      summary: route.summary,
      tags: [route.tag],
      request: {
        params: route.params,
        query: route.query,
        ...(route.headers && { headers: route.headers }),
        ...requestBody(route),
      },
      responses: responsesOf(route),
    });
  }
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'Perennial',
      version,
      description: 'Predictions, pipelines, datasets, model registry and history of an image classifier.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Without a base path relative to the document, so that it is right behind a proxy that strips a prefix.
    servers: [{ url: basePath === '' ? './' : basePath }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
  });
}

function requestBody(route: Route): object {
  const { isRequired, limit } = route.body;
  const contents = contentsOf(route.body);
  if (contents === null) return {};
  const encoding = limit.takesCompressed
    ? 'counted after gzip or deflate is decompressed'
    : 'uncompressed: a Content-Encoding is refused with 415';
  return {
    body: {
      description: `At most ${limit.maxBytes} bytes, ${encoding}.`,
      required: isRequired,
      content: mediaTypes(contents),
    },
  };
}

function contentsOf({ kind, documented, documentedJson, documentedContents }: Route['body']): Contents | null {
  if (documentedContents !== undefined) return documentedContents;
  if (documented === null) return null;
  const contentType = kind === 'json' ? 'application/json' : 'multipart/form-data';
  return { [contentType]: documented, ...(documentedJson && { 'application/json': documentedJson }) };
}

type Contents = Readonly<Record<string, z.ZodType>>;

function mediaTypes(contents: Contents): Record<string, { schema: z.ZodType }> {
  return Object.fromEntries(Object.entries(contents).map(([type, schema]) => [type, { schema }]));
}

function responsesOf(route: Route): Record<string, ResponseConfig> {
  const { status, description, schema, contentType, otherContents = {}, otherStatuses = [] } = route.success;
  const answer = { description, content: mediaTypes({ [contentType]: schema, ...otherContents }) };
  const statuses = [status, ...otherStatuses];
  const responses: Record<string, ResponseConfig> = Object.fromEntries(statuses.map((each) => [each, answer]));
  const byStatus = groupBy(problemsOf(route), (code) => errorTable[code].status);
  for (const [problemStatus, codes] of byStatus) responses[problemStatus] = problemResponse(codes, route.path);
  responses['default'] = { description: 'Any other problem', ...problemContent(route.path) };
  return responses;
}

/** Every route but pages refuses unknown query parameters. */
function problemsOf({ problems, query }: Route): readonly ErrorCode[] {
  return query === anyQuery ? problems : [...problems, 'unknown_parameter'];
}

function problemResponse(codes: readonly ErrorCode[], path: string): ResponseConfig {
  const titles = codes.map((code) => `\`${code}\`: ${errorTable[code].title}`);
  return { description: titles.join('. '), ...problemContent(path) };
}

function problemContent(path: string): Pick<ResponseConfig, 'content'> {
  const { contentType } = problemFormatOf(path);
  const schema = contentType === 'application/json' ? v2ProblemSchema : problemSchema;
  return { content: { [contentType]: { schema } } };
}
