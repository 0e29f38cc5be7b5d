import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { errorTable, isErrorCode, PerennialError } from '../../contracts/errors.js';
import { pathOf } from './base-path.js';
import { contextOf } from './request-context.js';
import { describeProblem } from './problems.js';
import { anyQuery, defineRoute, json, text, type Route } from './route.js';

/** Swagger UI is served from its package, so that the page works offline. */
const swaggerFolder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

/** The page, with addresses relative to its own: a proxy may offer it under any prefix. */
const pageBelow = (root: string): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Perennial API</title>
    <link rel="icon" type="image/png" href="${root}docs/favicon-32x32.png">
    <link rel="stylesheet" href="${root}docs/swagger-ui.css">
    <script src="${root}docs/swagger-ui-bundle.js" defer></script>
    <script src="${root}docs/start.js" defer></script>
  </head>
  <body>
    <main id="swagger-ui"></main>
    <noscript>This page needs JavaScript; the same is in <a href="${root}openapi.json">openapi.json</a>.</noscript>
  </body>
</html>
`;

const startScript = `SwaggerUIBundle({
  url: new URL('../openapi.json', document.currentScript.src).href,
  dom_id: '#swagger-ui',
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
`;

const assets = ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png', 'start.js'] as const;
type Asset = (typeof assets)[number];

const contentTypes: Record<Asset, string> = {
  'swagger-ui.css': 'text/css',
  'swagger-ui-bundle.js': 'text/javascript',
  'favicon-32x32.png': 'image/png',
  'start.js': 'text/javascript',
};

/** The API documentation. `document` is called once all routes are known. */
export function documentationRoutes(document: () => object): Route[] {
  return [
    defineRoute({
      method: 'get',
      path: '/',
      operationId: 'getRoot',
      summary: 'Redirect to the documentation',
      tag: 'operation',
      success: text('text/plain', 'To /docs', 302),
      problems: [],
      handle: ({ request }) => {
        const { basePath = '' } = contextOf(request);
        // Relative without a base path, so that it is right behind a proxy that strips a prefix.
        return { body: 'See /docs\n', headers: { Location: basePath === '' ? 'docs' : '/docs' } };
      },
    }),
    defineRoute({
      method: 'get',
      path: '/docs',
      operationId: 'getDocs',
      summary: 'Interactive API documentation',
      tag: 'operation',
      query: anyQuery,
      success: text('text/html', 'The page'),
      problems: [],
      handle: ({ request }) => ({ body: pageBelow(pathOf(request).endsWith('/') ? '../' : '') }),
    }),
    assetRoute(),
    defineRoute({
      method: 'get',
      path: '/openapi.json',
      operationId: 'getOpenApi',
      summary: 'The OpenAPI 3.1 document',
      tag: 'operation',
      success: json(z.looseObject({ openapi: z.string() }), 'The document'),
      problems: [],
      handle: () => ({ body: { openapi: '3.1.0', ...document() } }),
    }),
    problemRoute(),
  ];
}

function assetRoute(): Route {
  return defineRoute({
    method: 'get',
    path: '/docs/{asset}',
    operationId: 'getDocsAsset',
    summary: 'An asset of the documentation page',
    tag: 'operation',
    query: anyQuery,
    params: z.object({ asset: z.string() }),
    success: { ...text('text/plain', 'The file'), schema: z.unknown().meta({ type: 'string' }) },
    problems: ['not_found'],
    async handle({ params }) {
      const asset = assets.find((name) => name === params.asset);
      if (asset === undefined) throw new PerennialError('not_found', `There is no asset /docs/${params.asset}.`);
      const body = asset === 'start.js' ? startScript : await readFile(join(swaggerFolder, asset));
      return { body, headers: { 'Content-Type': contentTypes[asset], 'Cache-Control': 'public, max-age=3600' } };
    },
  });
}

function problemRoute(): Route {
  return defineRoute({
    method: 'get',
    path: '/problems/{code}',
    operationId: 'getProblem',
    summary: 'Description of a problem code',
    tag: 'operation',
    params: z.object({ code: z.string() }),
    success: text('text/plain', 'Title, status, whether a retry helps, and the remedy'),
    problems: ['not_found'],
    handle({ params }) {
      if (isErrorCode(params.code)) return { body: describeProblem(params.code) };
      const known = Object.keys(errorTable).join(', ');
      throw new PerennialError('not_found', `Unknown problem code. Known codes: ${known}.`);
    },
  });
}
