import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { giveTo, runAs, unprivilegedAccount, type Account } from './account.js';
import { postgresFolder } from './binaries.js';
import { plainEnvironment, stopOrders, type ChildSpec } from './child-spec.js';
import { runToEnd } from './run-to-end.js';
import { commandLineOf, isAlive, stopLeftover } from './leftovers.js';

export interface PostgresOptions {
  /** Folder for the data and the password. */
  folder: string;
  port: number;
  /** For tests: fsync is off, so the data survives a killed server but not a crash of the machine. */
  isTemporary?: boolean;
}

export interface LocalPostgres {
  spec: ChildSpec;
  url: string;
}

const user = 'postgres';
const database = 'perennial';
const major = '18';

/**
 * A local Postgres in `folder`, initialised before its first start. It listens on the loopback address only and requires a
 * random password, stored beside the data.
 */
export function localPostgres({ folder, port, isTemporary = false }: PostgresOptions): LocalPostgres {
  const programs = postgresFolder();
  const data = join(folder, 'data');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const account = unprivilegedAccount(data);
  if (!existsSync(data)) writeFileSync(join(folder, 'password'), randomBytes(24).toString('hex'), { mode: 0o600 });
  else refuseOtherMajor(data);
  const password = readFileSync(join(folder, 'password'), 'utf8').trim();
  const quick = isTemporary ? ['-c', 'fsync=off', '-c', 'full_page_writes=off'] : [];
  const settings = [
    '-h',
    '127.0.0.1',
    '-c',
    'unix_socket_directories=',
    '-c',
    'timezone=UTC',
    '-c',
    'log_timezone=UTC',
  ];
  const args = ['-D', data, '-p', String(port), ...settings, ...quick];
  return {
    url: `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`,
    spec: {
      name: 'postgres',
      ...runAs(account, join(programs, 'bin', 'postgres'), args),
      env: plainEnvironment(),
      ready: () => acceptsSessions(port),
      readyTimeoutMs: 60_000,
      // Fast shutdown: sessions are ended, data is written.
      stopSignal: 'SIGINT',
      stopOrder: stopOrders.postgres,
      graceMs: 15_000,
      async prepare() {
        if (existsSync(data)) await clearLockFile(data);
        else await initialise(folder, programs, account, isTemporary);
      },
    },
  };
}

/** Initialises under another name and renames at the end, so that an interrupted start leaves no partial database. */
async function initialise(
  folder: string,
  programs: string,
  account: Account | null,
  isTemporary: boolean,
): Promise<void> {
  const draft = join(folder, 'data.draft');
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  const passwordFile = join(folder, 'password');
  giveTo(account, draft);
  if (account !== null) giveTo(account, folder);
  const env = plainEnvironment();
  const start = (program: string, args: string[], input: string): Promise<void> => {
    const { command, args: all } = runAs(account, join(programs, 'bin', program), args);
    return runToEnd(command, all, { env, input });
  };
  const choices = ['-U', user, '-E', 'UTF8', '--locale=C', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`];
  await start('initdb', ['-D', draft, ...choices, ...(isTemporary ? ['--no-sync'] : [])], '');
  await start('postgres', ['--single', '-D', draft, 'postgres'], `CREATE DATABASE ${database};\n`);
  renameSync(draft, join(folder, 'data'));
}

function refuseOtherMajor(data: string): void {
  const found = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (found === major) return;
  throw new Error(
    `${data} was written by Postgres ${found}; this is Postgres ${major} and cannot read it. ` +
      'Start the previous version of Perennial and export what you need, set DATABASE_URL to a server of that version, ' +
      'or empty the data folder with npm run reset.',
  );
}

/** Removes the lock file of a killed Postgres; a Postgres that outlived its supervisor is stopped first. */
async function clearLockFile(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  if (isAlive(pid) && commandLineOf(pid).includes(data)) await stopLeftover(pid, ['SIGINT', 'SIGQUIT', 'SIGKILL']);
  // Its sessions exit when they notice that the parent is gone; they must not see the data being opened again.
  await sleep(100);
  rmSync(file, { force: true });
}

/**
 * Whether sessions can begin. An open port is not enough, since the server may still be recovering: this sends the startup
 * message of the protocol and expects the request to authenticate ('R').
 */
function acceptsSessions(port: number): Promise<boolean> {
  const parameters = Buffer.from(`user\0${user}\0database\0${database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(parameters.length + head.length, 0);
  head.writeInt32BE(0x0003_0000, 4);
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(Buffer.concat([head, parameters])));
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => end(false));
    socket.once('data', (answer: Buffer) => end(answer.toString('latin1', 0, 1) === 'R'));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });
}
