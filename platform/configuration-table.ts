import { configSchema } from './config.js';

/** The settings of the product as a Markdown table: name, default, meaning. */
export function configurationTable(): string {
  const rows = Object.entries(configSchema.shape).map(([name, schema]) => {
    const initial = schema.safeParse(undefined);
    const shown = initial.success && initial.data !== undefined ? `\`${String(initial.data)}\`` : '';
    return `| \`${name}\` | ${shown} | ${schema.description ?? ''} |`;
  });
  return ['| variable | default | what it is |', '| --- | --- | --- |', ...rows, ''].join('\n');
}
