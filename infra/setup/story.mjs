/**
 * What set-up tells the user: one line a step. On a terminal the line of the running step is rewritten with its
 * progress; elsewhere only its end is written.
 */
const nameWidth = 16;

/**
 * @typedef {object} Step
 * @property {(text: string) => void} progress shows how far the step is
 * @property {(text: string) => void} note leaves a line behind, for instance that a source failed
 * @property {(text: string) => void} end
 * @typedef {{ begin: (name: string) => Step, say: (text: string) => void, isQuiet: boolean }} Story
 */

/**
 * @param {{ isTTY?: boolean, columns?: number, write: (text: string) => unknown }} [stream]
 * @returns {Story}
 */
export function createStory(stream = process.stdout) {
  const say = (/** @type {string} */ text) => void stream.write(`${text}\n`);
  return {
    say,
    isQuiet: stream.isTTY !== true,
    begin: (name) => beginStep(name, stream),
  };
}

/**
 * @param {string} name
 * @param {{ isTTY?: boolean, columns?: number, write: (text: string) => unknown }} stream
 * @returns {Step}
 */
function beginStep(name, stream) {
  const startedMs = Date.now();
  const erase = stream.isTTY === true ? '\r\u001b[2K' : '';
  const label = `  ${name.padEnd(nameWidth)}`;
  let shownPercent = 0;
  return {
    progress: (text) => {
      if (stream.isTTY === true) {
        stream.write(`${erase}${label}${text}`.slice(0, (stream.columns ?? 80) + erase.length - 1));
        return;
      }
      const percent = Number(/(\d+) %/.exec(text)?.[1] ?? Number.NaN);
      if (Number.isNaN(percent) || percent < shownPercent + 25) return;
      shownPercent = percent;
      stream.write(`${label}${text}\n`);
    },
    note: (text) => void stream.write(`${erase}${label}${text}\n`),
    end: (text) => {
      const seconds = (Date.now() - startedMs) / 1000;
      const took = seconds >= 0.5 ? ` (${seconds.toFixed(1)} s)` : '';
      stream.write(`${erase}${label}${text}${took}\n`);
    },
  };
}

/**
 * @param {number} done
 * @param {number | null} total
 * @returns {string} for instance `45 of 207 MB, 21 %`
 */
export function describeBytes(done, total) {
  const megabytes = (/** @type {number} */ bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
  if (total === null || total === 0) return `${megabytes(done)} MB`;
  return `${megabytes(done)} of ${megabytes(total)} MB, ${String(Math.floor((100 * done) / total))} %`;
}
