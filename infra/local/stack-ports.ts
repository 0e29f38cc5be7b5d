import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { freePorts, isPortFree } from './ports.js';

export const portSettings = {
  api: 'PORT',
  postgres: 'POSTGRES_PORT',
  s3: 'S3_PORT',
  temporal: 'TEMPORAL_PORT',
  temporalUi: 'TEMPORAL_UI_PORT',
} as const;
export type PortName = keyof typeof portSettings;
export type Ports = Record<PortName, number>;

const owners: Record<PortName, string> = {
  api: 'the API',
  postgres: 'Postgres',
  s3: 'the S3 server',
  temporal: 'Temporal',
  temporalUi: 'the Temporal Web UI',
};
const names: readonly PortName[] = ['api', 'postgres', 's3', 'temporal', 'temporalUi'];
const recordSchema = z.object({
  api: z.number(),
  postgres: z.number(),
  s3: z.number(),
  temporal: z.number(),
  temporalUi: z.number(),
});

/**
 * Chooses the ports of a stack and writes them to `recordFile`. Configured ports are used; for the others (0), the port of
 * the last start if it is free, or else any free port. Throws when a configured port is taken, naming the setting.
 */
export async function choosePorts(wanted: Ports, recordFile: string): Promise<Ports> {
  const previous = recordedPorts(recordFile);
  const spare = await freePorts(names.length);
  const ports: Ports = { ...wanted };
  for (const [index, name] of names.entries()) {
    if (wanted[name] !== 0) await refuseTaken(name, wanted[name]);
    else if (previous !== null && (await isPortFree(previous[name]))) ports[name] = previous[name];
    else ports[name] = spare[index] ?? 0;
  }
  record(ports, recordFile);
  return ports;
}

/** A stack that cannot write its ports still runs; only the next start and the scenarios cannot read them. */
function record(ports: Ports, file: string): void {
  try {
    writeFileSync(`${file}.draft`, JSON.stringify(ports, null, 2));
    renameSync(`${file}.draft`, file);
  } catch {
    return;
  }
}

async function refuseTaken(name: PortName, port: number): Promise<void> {
  if (await isPortFree(port)) return;
  const setting = portSettings[name];
  throw new Error(
    `Port ${port}, configured for ${owners[name]}, is taken by another program. ` +
      `Stop that program, or set ${setting} to another port, for instance: ${setting}=${port + 1} npm start`,
  );
}

/** The ports of the last start; null when there was none. */
export function recordedPorts(file: string): Ports | null {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return null;
  }
}
