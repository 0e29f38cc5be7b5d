import { availableParallelism } from 'node:os';

/** Tests run as plain Node modules from `dist/`: what is tested is what ships. See docs/decisions/0001-tests-run-what-is-built.md. */
export default {
  runner: 'jest-light-runner/child-process',
  testMatch: ['<rootDir>/dist/test/**/*.test.js'],
  testPathIgnorePatterns: ['/node_modules/'],
  transform: {},
  setupFilesAfterEnv: ['<rootDir>/jest.setup.mjs'],
  testSequencer: '<rootDir>/jest.sequencer.mjs',
  // Many tests wait for servers that are away on purpose, so that a third one finds a core even where there are two. With
  // one worker the runner would run every file in Jest's own process, where one open handle keeps Jest from ending.
  maxWorkers: Math.max(3, Math.floor(availableParallelism() / 2)),
  testTimeout: 120_000,
};
