import { OpenApiGeneratorV31, OpenAPIRegistry, type ResponseConfig } from '@asteasolutions/zod-to-openapi';
import { errorTable, type ErrorCode } from '../contracts/errors.js';
import { problemSchema } from '../contracts/http.js';
import { groupBy } from './group-by.js';
import { tags, type Route } from './route.js';

/** The OpenAPI 3.1 document of a table of routes. Schemas with an id in their `meta` get a name of their own in it. */
export function buildOpenApiDocument(routes: readonly Route[], version: string): object {
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
      description: 'Predictions, pipelines and the record of an image classifier that is kept alive.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
  });
}

function requestBody(route: Route): object {
  const { kind, documented, documentedJson, isRequired, limit } = route.body;
  if (documented === null) return {};
  const contentType = kind === 'json' ? 'application/json' : 'multipart/form-data';
  const json = documentedJson === undefined ? {} : { 'application/json': { schema: documentedJson } };
  const description = `At most ${limit.maxBytes} bytes, sent as they are: a Content-Encoding is refused with 415.`;
  return { body: { description, required: isRequired, content: { [contentType]: { schema: documented }, ...json } } };
}

function responsesOf(route: Route): Record<string, ResponseConfig> {
  const { status, description, schema, contentType } = route.success;
  const responses: Record<string, ResponseConfig> = {
    [status]: { description, content: { [contentType]: { schema: schema } } },
  };
  const byStatus = groupBy(route.problems, (code) => errorTable[code].status);
  for (const [problemStatus, codes] of byStatus) responses[problemStatus] = problemResponse(codes);
  responses['default'] = { description: 'Any other problem', ...problemContent() };
  return responses;
}

function problemResponse(codes: readonly ErrorCode[]): ResponseConfig {
  const titles = codes.map((code) => `\`${code}\`: ${errorTable[code].title}`);
  return { description: titles.join('. '), ...problemContent() };
}

function problemContent(): Pick<ResponseConfig, 'content'> {
  return { content: { 'application/problem+json': { schema: problemSchema } } };
}
