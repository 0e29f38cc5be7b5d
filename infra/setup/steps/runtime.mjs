import { minimumNode, supportedPlatforms } from '../versions.mjs';
import { platformKey } from '../paths.mjs';

/**
 * Checks the platform and the Node version before anything is downloaded.
 * @param {string} nodeVersion for instance `20.20.2`
 * @param {string} platform for instance `linux-x64`
 * @param {boolean} isMusl whether the C library is musl, as on Alpine
 * @returns {string | null} what is wrong and what to do, or null
 */
export function refusal(nodeVersion, platform, isMusl) {
  if (!supportedPlatforms.includes(platform)) {
    return (
      `Perennial runs on ${supportedPlatforms.join(', ')}; this is ${platform}. ` +
      'Use a Linux container (a Debian image with Node 20 or newer) or WSL 2 on Windows.'
    );
  }
  if (isMusl) {
    return (
      'Perennial needs glibc; this system has musl (Alpine?). TensorFlow, Temporal and ONNX Runtime publish nothing for it. ' +
      'Use a Debian-based image, for instance node:22-bookworm.'
    );
  }
  if (compareVersions(nodeVersion, minimumNode) < 0) {
    return `Perennial needs Node ${minimumNode} or newer; this is ${nodeVersion}. Install a current Node (20, 22 or 24) and try again.`;
  }
  return null;
}

/** @returns {string | null} */
export function refusalHere() {
  const report = /** @type {{ header?: { glibcVersionRuntime?: string } }} */ (process.report.getReport());
  const isMusl = process.platform === 'linux' && report.header?.glibcVersionRuntime === undefined;
  return refusal(process.versions.node, platformKey(), isMusl);
}

/**
 * @param {string} a
 * @param {string} b
 * @returns {number} negative when a is older than b
 */
function compareVersions(a, b) {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (const [index, value] of left.entries()) {
    const difference = value - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
