import { configurationTable } from '../../../platform/configuration-table.js';
import { expectDocument } from '../../support/document.js';

const introduction = `# Configuration

Every setting is an environment variable; an empty one counts as unset. This table is generated from
\`platform/config.ts\`; a test keeps it true.

`;

describe('docs/configuration.md', () => {
  it('lists every setting with its default', async () => {
    await expectDocument('docs/configuration.md', introduction + configurationTable());
  });
});
