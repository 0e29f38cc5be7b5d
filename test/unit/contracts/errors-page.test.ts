import { format } from 'prettier';
import { remedies } from '../../../contracts/error-remedies.js';
import { errorTable, isErrorCode, type ErrorCode } from '../../../contracts/errors.js';
import { expectDocument } from '../../support/document.js';

const introduction = `# Errors

Every failure has a code. HTTP answers it as \`application/problem+json\` (RFC 9457) with the code in \`code\` and
\`type\`; runs, logs and notifications name the same code. \`detail\` says what happened in this case, and \`GET
/problems/{code}\` gives the row below. "Retry" says whether the same request can succeed later; where an answer has
\`Retry-After\`, wait that long.

This page is generated from \`contracts/errors.ts\` and \`contracts/error-remedies.ts\`.
`;

function row(code: ErrorCode): string {
  const { status, title, retryable } = errorTable[code];
  return `| \`${code}\` | ${status} | ${title} | ${retryable ? 'yes' : 'no'} | ${remedies[code]} |`;
}

describe('docs/errors.md', () => {
  it('lists every code with its status, title and remedy', async () => {
    const rows = Object.keys(errorTable).filter(isErrorCode).map(row);
    const table = ['| code | status | title | retry | what to do |', '| --- | --- | --- | --- | --- |', ...rows];
    const page = [introduction, ...table, ''].join('\n');
    await expectDocument('docs/errors.md', await format(page, { parser: 'markdown', printWidth: 120 }));
  });
});
