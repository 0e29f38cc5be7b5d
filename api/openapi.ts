import { OpenApiGeneratorV31, OpenAPIRegistry, type ResponseConfig } from '@asteasolutions/zod-to-openapi';
import type { z } from 'zod';
import { errorTable, type ErrorCode } from '../contracts/errors.js';
import { problemSchema } from '../contracts/http.js';
import { groupBy } from './group-by.js';
import type { Route } from './route.js';

/** The OpenAPI 3.1 document of a table of routes. `components` are schemas that get a name of their own in it. */
export function buildOpenApiDocument(
  routes: readonly Route[],
  components: Readonly<Record<string, z.ZodType>>,
  version: string,
): object {
  const registry = new OpenAPIRegistry();
  const named = Object.entries<z.ZodType>({ ...components, Problem: problemSchema });
  const schemas = new Map<z.ZodType, z.ZodType>(
    named.map(([name, schema]) => [schema, registry.register(name, schema)]),
  );
  const reference = (schema: z.ZodType): z.ZodType => schemas.get(schema) ?? schema;
  for (const route of routes) {
    registry.registerPath({
      method: route.method,
      path: route.path,
      operationId: route.operationId,
      summary: route.summary,
      tags: [route.tag],
      request: { params: route.params, query: route.query, ...requestBody(route, reference) },
      responses: responsesOf(route, reference),
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
  });
}

type Reference = (schema: z.ZodType) => z.ZodType;

function requestBody(route: Route, reference: Reference): object {
  const { kind, documented, isRequired } = route.body;
  if (documented === null) return {};
  const contentType = kind === 'form' ? 'multipart/form-data' : 'application/json';
  return { body: { required: isRequired, content: { [contentType]: { schema: reference(documented) } } } };
}

function responsesOf(route: Route, reference: Reference): Record<string, ResponseConfig> {
  const { status, description, schema, contentType } = route.success;
  const responses: Record<string, ResponseConfig> = {
    [status]: { description, content: { [contentType]: { schema: reference(schema) } } },
  };
  const byStatus = groupBy(route.problems, (code) => errorTable[code].status);
  for (const [problemStatus, codes] of byStatus) responses[problemStatus] = problemResponse(codes, reference);
  responses['default'] = { description: 'Any other problem', ...problemContent(reference) };
  return responses;
}

function problemResponse(codes: readonly ErrorCode[], reference: Reference): ResponseConfig {
  const titles = codes.map((code) => `\`${code}\`: ${errorTable[code].title}`);
  return { description: titles.join('. '), ...problemContent(reference) };
}

function problemContent(reference: Reference): Pick<ResponseConfig, 'content'> {
  return { content: { 'application/problem+json': { schema: reference(problemSchema) } } };
}
