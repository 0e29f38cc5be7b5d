import { chownSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The account Postgres runs as when Perennial runs as root, because Postgres refuses to run as root. */
export interface Account {
  uid: number;
  gid: number;
}

/**
 * Null when this process is not root. Otherwise the owner of the data folder, or else `postgres`, or else `nobody`.
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
 * The command that runs `command` under that account. The project may lie below a folder that only root can enter, for
 * instance `/root`, so on Linux the process keeps CAP_DAC_OVERRIDE and no other capability. Postgres programs find each
 * other by access(2), which ignores that capability unless the securebit is set.
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

/** Changes the owner of a folder and of everything below it. */
export function giveTo(account: Account | null, folder: string): void {
  if (account === null) return;
  chownSync(folder, account.uid, account.gid);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isDirectory()) giveTo(account, path);
    else chownSync(path, account.uid, account.gid);
  }
}
