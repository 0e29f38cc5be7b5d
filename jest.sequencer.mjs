const slowest = ['/e2e/services-away', '/e2e/scenarios', '/chaos/', '/e2e/', '/integration/', ''];

/**
 * The order of test files: the longest first, so that none of them is left over when everything else is done. Jest by
 * itself knows how long a file takes only where it has run before.
 */
export default class LongestFirst {
  sort(tests) {
    const rank = ({ path }) => slowest.findIndex((part) => path.includes(part));
    return [...tests].sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1));
  }

  shard(tests) {
    return tests;
  }

  allFailedTests(tests) {
    return tests;
  }

  cacheResults() {}
}
