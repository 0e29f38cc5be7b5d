import { timeOfUuid7, uuid7 } from '../../../platform/uuid7.js';

describe('uuid7', () => {
  it('contains the time of its creation', () => {
    const before = Date.now();
    const at = timeOfUuid7(uuid7())?.getTime() ?? 0;
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now() + 1);
  });

  it('creates ordered ids, also many in one millisecond and when the clock is set back', () => {
    const now = Date.now() + 60_000;
    const ids = Array.from({ length: 10_000 }, () => uuid7(now));
    ids.push(uuid7(now - 30_000), uuid7(now));
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
    for (const id of ids.slice(0, 50)) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
  });

  it('returns null for the time of any other text', () => {
    expect(timeOfUuid7('00000000-0000-4000-8000-000000000000')).toBeNull();
    expect(timeOfUuid7('../../etc/passwd')).toBeNull();
    expect(timeOfUuid7('')).toBeNull();
  });
});
