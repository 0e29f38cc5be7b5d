/**
 * Progress output, one line per step. On a terminal the line of the running step is rewritten with its progress. Elsewhere
 * a long step prints a line at its start and at every 25 %, and every step prints a line at its end.
 */

/**
 * @typedef {object} Step
 * @property {() => void} start announces a step that may take long
 * @property {(text: string) => void} progress shows the progress of the step
 * @property {(text: string) => void} note prints a line that stays, for instance that a source failed
 * @property {(text: string, tookMs?: number) => void} end prints the result with `tookMs`, or else the time since `begin`
 * @typedef {{ begin: (name: string) => Step, print: (text: string) => void }} Progress
 * @typedef {{ isTTY?: boolean, columns?: number, write: (text: string) => unknown }} Output
 */

/**
 * @param {{ output?: Output, nameWidth?: number }} [options]
 * @returns {Progress}
 */
export function createProgress({ output = process.stdout, nameWidth = 16 } = {}) {
  return {
    print: (text) => void output.write(`${eraseLine(output)}${text}\n`),
    begin: (name) => beginStep(`  ${name.padEnd(nameWidth)}`, output),
  };
}

/**
 * @param {string} label
 * @param {Output} output
 * @returns {Step}
 */
function beginStep(label, output) {
  const isTerminal = output.isTTY === true;
  const startedMs = Date.now();
  const erase = eraseLine(output);
  const fit = (/** @type {string} */ text) => text.slice(0, (output.columns || 80) - 1);
  let reportedPercent = 0;
  return {
    start: () => {
      if (!isTerminal) output.write(`${label}…\n`);
    },
    progress: (text) => {
      if (isTerminal) {
        output.write(erase + fit(label + text));
        return;
      }
      const percent = Number(/(\d+) %/.exec(text)?.[1] ?? 0);
      if (percent < reportedPercent + 25) return;
      reportedPercent = percent;
      output.write(`${label}${text}\n`);
    },
    note: (text) => void output.write(`${erase}${label}${text}\n`),
    end: (text, tookMs = Date.now() - startedMs) => {
      const took = tookMs >= 100 ? `  (${(tookMs / 1000).toFixed(1)} s)` : '';
      output.write(`${erase}${label}${text}${took}\n`);
    },
  };
}

/** @param {Output} output */
function eraseLine(output) {
  return output.isTTY === true ? '\r\u001b[2K' : '';
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
