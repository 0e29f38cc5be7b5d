import { errorCodeOf, messageOf } from '../../../contracts/errors.js';
import { loadConfig } from '../../../platform/config.js';

function failureOfLoading(environment: Record<string, string>): unknown {
  try {
    loadConfig(environment);
  } catch (error) {
    return error;
  }
  throw new Error('it loaded');
}

describe('loadConfig', () => {
  it('treats an empty string as unset', () => {
    expect(loadConfig({ PORT: '', MODEL_NAME: '' })).toMatchObject({
      PORT: 3000,
      MODEL_NAME: 'dandelion_grass_classifier',
    });
  });

  it('refuses a SHUTDOWN_LEAVE_MS above a quarter of SHUTDOWN_GRACE_MS', () => {
    const leave = (ms: number): Record<string, string> => ({
      SHUTDOWN_GRACE_MS: '20000',
      SHUTDOWN_LEAVE_MS: String(ms),
    });
    expect(loadConfig(leave(5_000)).SHUTDOWN_LEAVE_MS).toBe(5_000);
    expect(messageOf(failureOfLoading(leave(5_001)))).toContain('SHUTDOWN_LEAVE_MS: must be at most a quarter');
  });

  it('reads "false" as false', () => {
    expect(loadConfig({ S3_FORCE_PATH_STYLE: 'false' }).S3_FORCE_PATH_STYLE).toBe(false);
    expect(loadConfig({ S3_FORCE_PATH_STYLE: '1' }).S3_FORCE_PATH_STYLE).toBe(true);
  });

  it('reports every wrong setting at once', () => {
    const failure = failureOfLoading({ PORT: '70000', S3_ENDPOINT: 'nowhere', MODEL_NAME: 'Has Spaces' });
    expect(errorCodeOf(failure)).toBe('configuration_invalid');
    for (const name of ['PORT', 'S3_ENDPOINT', 'MODEL_NAME']) expect(messageOf(failure)).toContain(name);
  });

  it('makes the home folder absolute', () => {
    expect(loadConfig({ PERENNIAL_HOME: 'some/where' }).PERENNIAL_HOME).toMatch(/^\/.*some\/where$/);
  });
});
