import fc from 'fast-check';
import { planRetention, type RetainedVersion } from '../../../../domain/registry/version-retention.js';

const now = new Date('2030-06-01T00:00:00Z');
const daysAgo = (days: number): Date => new Date(now.getTime() - days * 86_400_000);
const plain = (version: number): RetainedVersion => ({ version, references: [], lastServedAt: null });
const upTo = (count: number): RetainedVersion[] => Array.from({ length: count }, (_, index) => plain(index + 1));

describe('the retention plan', () => {
  it('deletes nothing while there are ten versions, whatever the policy says', () => {
    expect(planRetention(upTo(10), { keep: 1, now }).retire).toEqual([]);
  });

  it('retires the oldest first beyond the number that is kept', () => {
    const { retire, kept } = planRetention(upTo(15), { keep: 12, now });
    expect(retire).toEqual([1, 2, 3]);
    expect(kept[0]).toEqual({ version: 15, reason: 'it is among the newest 12' });
  });

  it('keeps referenced versions, and names the references', () => {
    const referred = { ...plain(2), references: ['it is in Production', 'the alias champion points at it'] };
    const { retire, kept } = planRetention([...upTo(1), referred, ...upTo(14).slice(2)], { keep: 10, now });
    expect(retire).toEqual([1, 3, 4]);
    expect(kept.at(-1)).toEqual({ version: 2, reason: 'it is in Production; the alias champion points at it' });
  });

  it('keeps what was in Production within 90 days, and no longer', () => {
    const versions = [
      { ...plain(1), lastServedAt: daysAgo(91) },
      { ...plain(2), lastServedAt: daysAgo(89) },
      ...upTo(12).slice(2),
    ];
    expect(planRetention(versions, { keep: 10, now }).retire).toEqual([1]);
  });

  it('never retires one of the newest ten or one that is referred to, and forgets none', () => {
    const version = fc.record({
      references: fc.array(fc.string({ minLength: 1 }), { maxLength: 2 }),
      lastServedAt: fc.option(fc.integer({ min: 0, max: 400 }).map(daysAgo)),
    });
    fc.assert(
      fc.property(fc.array(version, { maxLength: 40 }), fc.integer({ min: 0, max: 30 }), (facts, keep) => {
        const versions = facts.map((fact, index) => ({ ...fact, version: index + 1 }));
        const { retire, kept } = planRetention(versions, { keep, now });
        const newest = versions.slice(-10).map((each) => each.version);
        expect(retire.filter((each) => newest.includes(each))).toEqual([]);
        expect(retire.filter((each) => versions[each - 1]?.references.length !== 0)).toEqual([]);
        expect([...retire, ...kept.map((each) => each.version)].sort((a, b) => a - b)).toEqual(
          versions.map((each) => each.version),
        );
      }),
    );
  });
});
