/** Tests run as plain Node modules from `dist/`: what is tested is what ships. See docs/decisions/0002. */
export default {
  runner: 'jest-light-runner/child-process',
  testMatch: ['<rootDir>/dist/test/**/*.test.js'],
  testPathIgnorePatterns: ['/node_modules/'],
  transform: {},
  testTimeout: 120_000,
};
