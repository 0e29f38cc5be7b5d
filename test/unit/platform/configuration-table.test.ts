import { configurationTable } from '../../../platform/configuration-table.js';
import { expectDocument } from '../../support/document.js';

const introduction = `# Configuration

Every setting is an environment variable; an empty string counts as unset. This table is generated from
\`platform/config-schema.ts\`; a test checks that it is up to date.

`;

describe('docs/configuration.md', () => {
  it('lists every setting with its default', async () => {
    await expectDocument('docs/configuration.md', introduction + configurationTable());
  });
});
