import { chownSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The account Postgres runs as when we are root, which it refuses to be. */
export interface Account {
  uid: number;
  gid: number;
}

/**
 * Null when this process is not root. Otherwise whom the data folder belongs to, else `postgres`, else `nobody`.
 */
export function unprivilegedAccount(dataFolder: string): Account | null {
  if (process.getuid?.() !== 0) return null;
  const owner = statSync(dataFolder, { throwIfNoEntry: false });
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  return accountNamed('postgres') ?? accountNamed('nobody') ?? { uid: 65534, gid: 65534 };
}

function accountNamed(name: string): Account | null {
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith(`${name}:`));
    const [uid, gid] = line?.split(':').slice(2, 4).map(Number) ?? [];
    // macOS writes `nobody` as -2.
    return uid === undefined || gid === undefined || uid <= 0 ? null : { uid, gid };
  } catch {
    return null;
  }
}

/**
 * The command under that account. The project may lie below a folder that only root can enter, so on Linux the
 * process keeps the one right to pass such folders and no other. (Without the secure bit, access(2), by which the
 * programs find each other, would disregard that right.)
 */
export function runAs(
  account: Account | null,
  command: string,
  args: readonly string[],
): { command: string; args: string[] } {
  if (account === null) return { command, args: [...args] };
  const { uid, gid } = account;
  if (process.platform !== 'linux')
    return { command: 'sudo', args: ['-u', `#${uid}`, '-g', `#${gid}`, command, ...args] };
  const rights = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--securebits=+no_setuid_fixup'];
  return {
    command: 'setpriv',
    args: [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...rights, command, ...args],
  };
}

/** Gives a folder and all below it to the account. */
export function giveTo(account: Account | null, folder: string): void {
  if (account === null) return;
  chownSync(folder, account.uid, account.gid);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isDirectory()) giveTo(account, path);
    else chownSync(path, account.uid, account.gid);
  }
}
