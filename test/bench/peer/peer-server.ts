import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { answersHttp, freePorts } from '../../../infra/local/ports.js';
import { packageRoot } from '../../../platform/paths.js';
import { poll } from '../../support/api-client.js';
import { pythonEnvironment, type PythonTools } from '../../support/python.js';

const folder = join(packageRoot, 'test', 'bench', 'peer');

/** Installs what the peer needs, once. Throws where Python or its packages cannot be had. */
export function preparePeer(): Promise<PythonTools['program']> {
  return pythonEnvironment('peer', join(folder, 'requirements.txt'));
}

export interface PeerServer {
  port: number;
  pid: number;
  stop(): Promise<void>;
}

/** Starts the peer on a network in the folder of a bundle, as its users would: this many processes, one thread each. */
export async function startPeer(
  program: PythonTools['program'],
  modelPath: string,
  workers: number,
): Promise<PeerServer> {
  const [port = 0] = await freePorts(1);
  const options = ['--host', '127.0.0.1', '--port', String(port), '--workers', String(workers)];
  const child = spawn(program('uvicorn'), ['serve:app', ...options, '--log-level', 'warning'], {
    cwd: folder,
    env: { ...process.env, MODEL: modelPath, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  await poll(
    () => answersHttp(`http://127.0.0.1:${port}/openapi.json`, (status) => status === 200),
    (isUp) => isUp || child.exitCode !== null,
  );
  if (child.exitCode !== null) throw new Error(`the peer ended with ${child.exitCode}`);
  return {
    port,
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
