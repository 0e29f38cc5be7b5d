import { configSchema } from './config-schema.js';

/** All settings as a Markdown table: name, default, description. */
export function configurationTable(): string {
  const rows = Object.entries(configSchema.shape).map(([name, schema]) => {
    const initial = schema.safeParse(undefined);
    const shown = initial.success && initial.data !== undefined ? `\`${String(initial.data)}\`` : '';
    return `| \`${name}\` | ${shown} | ${schema.description ?? ''} |`;
  });
  return ['| variable | default | description |', '| --- | --- | --- |', ...rows, ''].join('\n');
}
