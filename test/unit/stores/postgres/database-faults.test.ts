import { toDatabaseError } from '../../../../stores/postgres/database-faults.js';

const postgresError = (code: string, message: string): Error => Object.assign(new Error(message), { code });

describe('a Postgres that cannot write', () => {
  it.each([
    ['53100', 'could not extend file "base/5/16389": No space left on device'],
    ['42501', 'could not open file "base/5/16389": Read-only file system'],
  ])('is insufficient_storage: %s', (code, message) => {
    expect(toDatabaseError(postgresError(code, message))).toMatchObject({ code: 'insufficient_storage' });
  });

  it('is database_unavailable when it lacks files or memory', () => {
    expect(toDatabaseError(postgresError('53000', 'out of file descriptors'))).toMatchObject({
      code: 'database_unavailable',
    });
    expect(toDatabaseError(postgresError('53200', 'out of memory'))).toMatchObject({ code: 'database_unavailable' });
  });

  it('is told apart from a missing privilege', () => {
    const denied = postgresError('42501', 'permission denied for table models');
    expect(toDatabaseError(denied)).toBe(denied);
  });
});
