import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../platform/paths.js';

export interface Page {
  name: string;
  text: string;
}

/** A command of a page, with what the page says about its answer. */
export interface DocumentedCommand {
  script: string;
  /** Of an answer that the page says, such as the 412 of a sample; null: any success. */
  status: number | null;
  /** Field names of the sample answer below the command. */
  fields: string[];
}

/** Commands that stand together, and the field names of the JSON that the page shows below them. */
export interface CommandBlock {
  commands: DocumentedCommand[];
  fields: string[];
}

/** The pages that people read: README.md, CONTRIBUTING.md and docs/. */
export function readPages(): Page[] {
  const docs = readdirSync(join(packageRoot, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', 'CONTRIBUTING.md', ...docs.sort().map((name) => `docs/${name}`)].map((name) => ({
    name,
    text: readPage(name),
  }));
}

export function readPage(name: string): string {
  return readFileSync(join(packageRoot, name), 'utf8');
}

/** Fenced blocks of a language. */
export function blocksOf(text: string, language: string): string[] {
  return fencedBlocks(text).flatMap((block) => (block.language === language ? [block.content] : []));
}

/** Blocks of every language, and headings, in the order of the page. */
function fencedBlocks(text: string): { language: string; content: string }[] {
  const parts = text.matchAll(/^```(.*)\n([^]*?)^```|^#+ .*/gm);
  return [...parts].map(([, language = 'heading', content = '']) => ({ language, content }));
}

/** Whether a block of another language, or of none, begins a line with a command or a request. */
export function isMissedCommand(text: string): boolean {
  return fencedBlocks(text).some(
    ({ language, content }) =>
      language !== 'sh' && /^(\$ )?(curl|npm|npx|node|dvc|git|docker|GET|POST|PUT|PATCH|DELETE) /m.test(content),
  );
}

/** The commands of a page, block by block. JSON belongs to the commands before it in the same section. */
export function commandBlocksOf(text: string): CommandBlock[] {
  const found: CommandBlock[] = [];
  let last: CommandBlock | null = null;
  for (const { language, content } of fencedBlocks(text)) {
    if (language === 'sh') found.push((last = { commands: commandsOf(content), fields: [] }));
    else if (language === 'heading') last = null;
    else if (language === 'json') last?.fields.push(...fieldsOf(content));
  }
  return found;
}

/** Splits a block where the shell can parse what was read, and takes the remarks below a command for its sample answer. */
function commandsOf(block: string): DocumentedCommand[] {
  const commands: DocumentedCommand[] = [];
  let open = '';
  for (const line of block.split('\n')) {
    const last = commands.at(-1);
    if (open === '' && /^# (\{|\d{3}\b|ETag)|^# {2,}/.test(line) && last) describeAnswer(last, line);
    else if (open !== '' || /^[^#\s]/.test(line)) open += `${line}\n`;
    if (open === '' || line.endsWith('\\') || !isComplete(open)) continue;
    commands.push({ script: open, status: statusIn(/ # (\d{3})\b/, open), fields: [] });
    open = '';
  }
  if (open !== '') throw new Error(`the shell cannot parse ${open}`);
  return commands;
}

function describeAnswer(command: DocumentedCommand, remark: string): void {
  command.status ??= statusIn(/^# (\d{3})\b|^# \{"type":.*"status":(\d{3})/, remark);
  command.fields.push(...fieldsOf(remark));
}

function statusIn(pattern: RegExp, text: string): number | null {
  const [, first, second] = pattern.exec(text) ?? [];
  return first === undefined && second === undefined ? null : Number(first ?? second);
}

/** Names before a colon in JSON, which may have gaps. */
export function fieldsOf(json: string): string[] {
  return [...json.matchAll(/"(\w+)":/g)].map(([, name = '']) => name);
}

function isComplete(script: string): boolean {
  return spawnSync('bash', ['-n'], { input: script }).status === 0;
}
