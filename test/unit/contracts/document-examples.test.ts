import { readdir, readFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import type { z } from 'zod';
import { startTuningSchema } from '../../../contracts/experiments/http-tuning.js';
import { policyBodySchema } from '../../../contracts/promotion/http-policies.js';
import { reportVersionSchema } from '../../../contracts/registry/http-import.js';

async function documents(): Promise<[name: string, text: string][]> {
  const pages = (await readdir('docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  return Promise.all(
    ['README.md', ...pages].map(async (name): Promise<[string, string]> => [name, await readFile(name, 'utf8')]),
  );
}

function blocksOf(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, block = '']) => block);
}

/** What the shell says about a script that it only parses. */
function syntaxErrorOf(script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const shell = spawn('sh', ['-n'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let said = '';
    shell.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    shell.on('error', reject);
    shell.on('close', () => {
      resolve(said);
    });
    shell.stdin.end(script);
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Names of a policy that a document mentions: `guard.minutes`, `promotion.min_recall`. */
function policyNamesOf(text: string): [part: string, field: string][] {
  const names = /`(approval|guard|promotion|retention|retraining|serving)\.([a-z0-9_]+)`/g;
  return [...text.matchAll(names)].map(([, part = '', field = '']) => [part, field]);
}

const policy: Record<string, Record<string, unknown>> = policyBodySchema.parse({});

describe('the documents', () => {
  it('hold commands that a shell can parse', async () => {
    const faults: string[] = [];
    for (const [name, text] of await documents()) {
      for (const block of [...blocksOf(text, 'sh'), ...blocksOf(text, 'bash')]) {
        const said = await syntaxErrorOf(block);
        if (said !== '') faults.push(`${name}: ${said}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it('hold bodies that are JSON', async () => {
    const bodies = (await documents()).flatMap(([name, text]) =>
      [...blocksOf(text, 'sh'), ...blocksOf(text, 'bash')].flatMap((block) =>
        [...block.matchAll(/ -d '(\{[^']*\})'/g)].map(([, body = '']) => ({ name, body })),
      ),
    );
    expect(bodies.length).toBeGreaterThan(5);
    for (const { name, body } of bodies) {
      expect({ name, isJson: isJson(body) }).toEqual({ name, isJson: true });
    }
  });

  it('name fields of a policy that the API knows', async () => {
    const unknown = (await documents()).flatMap(([name, text]) =>
      policyNamesOf(text).flatMap(([part, field]) =>
        field in (policy[part] ?? {}) ? [] : [`${name}: ${part}.${field}`],
      ),
    );
    expect(unknown).toEqual([]);
  });

  it.each<[page: string, schema: z.ZodType, marker: string]>([
    ['docs/tuning.md', startTuningSchema, '"space"'],
    ['docs/promotion.md', policyBodySchema, '"promotion"'],
    ['docs/registry.md', reportVersionSchema, '"metrics"'],
  ])('show a body in %s that the API accepts', async (page, schema, marker) => {
    const text = await readFile(page, 'utf8');
    const inCommands = [...text.matchAll(/ -d '(\{[^']*\})'/g)].map(([, body = '']) => body);
    const bodies = [...blocksOf(text, 'json'), ...inCommands].filter((body) => body.includes(marker));
    expect(bodies.length).toBeGreaterThan(0);
    for (const body of bodies) expect(schema.safeParse(JSON.parse(body)).error).toBeUndefined();
  });
});
