import type { Split } from '../../../../contracts/datasets/datasets.js';
import { planVersion, type Member } from '../../../../domain/datasets/plan-version.js';

function member(number: number, label: string, where = `${label}/${String(number)}`): Member {
  const hex = number.toString(16);
  return {
    sha256: hex.padStart(64, '0'),
    md5: hex.padStart(32, '0'),
    sizeBytes: 10,
    format: 'png',
    width: number,
    height: 8,
    label,
    where,
  };
}

const noSides = new Map<string, Split>();

describe('planVersion', () => {
  it('gives the same digest whatever the order, the sources and the names of the files', () => {
    const members = [member(1, 'a'), member(2, 'a'), member(3, 'b')];
    const renamed = [member(3, 'b', 'x'), member(1, 'a', 'y'), member(2, 'a', 'z'), member(2, 'a', 'copy')];
    const plan = (each: Member[]): string => planVersion({ members: each, sides: noSides, quarantined: {} }).digest;
    expect(plan(renamed)).toBe(plan(members));
  });

  it('gives another digest when an image, a label or a split differs', () => {
    const members = [member(1, 'a'), member(2, 'b')];
    const digest = (each: Member[], sides = noSides): string =>
      planVersion({ members: each, sides, quarantined: {} }).digest;
    const digests = [
      digest(members),
      digest([...members, member(3, 'a')]),
      digest([member(1, 'a'), member(2, 'c')]),
      digest(members, new Map([[member(1, 'a').sha256, 'test']])),
    ];
    expect(new Set(digests).size).toBe(4);
  });

  it('excludes an image under two labels and names its files', () => {
    const plan = planVersion({
      members: [member(1, 'a'), member(2, 'a'), member(2, 'b'), member(2, 'b', 'b/again')],
      sides: noSides,
      quarantined: { truncated: 2 },
    });
    expect(plan.examples.map(({ sha256 }) => sha256)).toEqual([member(1, 'a').sha256]);
    expect(plan.conflicts).toEqual([
      {
        ...{ sha256: member(2, 'a').sha256, sha256s: [member(2, 'a').sha256] },
        ...{ labels: ['a', 'b'], paths: ['a/2', 'b/2', 'b/again'] },
      },
    ]);
    expect(plan.statistics).toMatchObject({ images: 1, conflicts: 1, duplicates: 1, quarantined: { truncated: 2 } });
  });

  it('takes files with the same pixels for one image, the one that has a split already', () => {
    const shown = (number: number, label: string): Member => ({
      ...member(number, label),
      pixelSha256: 'p'.repeat(64),
    });
    const members = [shown(1, 'a'), shown(2, 'a'), member(3, 'a')];
    const plan = planVersion({ members, sides: new Map([[member(2, 'a').sha256, 'test']]), quarantined: {} });
    expect(plan.examples.map(({ sha256 }) => sha256)).toEqual([member(2, 'a').sha256, member(3, 'a').sha256]);
    expect(plan.statistics).toMatchObject({ images: 2, duplicates: 1, conflicts: 0 });
  });

  it('excludes an image whose pixels appear under two labels in different files', () => {
    const shown = (number: number, label: string): Member => ({
      ...member(number, label),
      pixelSha256: 'p'.repeat(64),
    });
    const plan = planVersion({
      members: [shown(1, 'a'), shown(2, 'b'), member(3, 'a')],
      sides: noSides,
      quarantined: {},
    });
    const sha256s = [member(1, 'a').sha256, member(2, 'b').sha256];
    expect(plan.conflicts).toEqual([{ sha256: sha256s[0], sha256s, labels: ['a', 'b'], paths: ['a/1', 'b/2'] }]);
    expect(plan.examples.map(({ sha256 }) => sha256)).toEqual([member(3, 'a').sha256]);
  });

  it('gives another file with the same pixels the split that the image had', () => {
    const copy = { ...member(9, 'a'), pixelSha256: 'p'.repeat(64) };
    const plan = planVersion({ members: [copy], sides: new Map([['p'.repeat(64), 'validation']]), quarantined: {} });
    expect(plan.examples).toEqual([{ sha256: copy.sha256, label: 'a', side: 'validation' }]);
    expect(plan.newExamples).toEqual(plan.examples);
  });

  it('keeps the split of an image that was removed for a while', () => {
    const sides = new Map<string, Split>([[member(5, 'a').sha256, 'test']]);
    const plan = planVersion({ members: [member(5, 'a'), member(6, 'a')], sides, quarantined: {} });
    expect(plan.examples.find(({ sha256 }) => sha256 === member(5, 'a').sha256)?.side).toBe('test');
    expect(plan.newExamples.map(({ sha256 }) => sha256)).toEqual([member(6, 'a').sha256]);
  });

  it('describes what it holds', () => {
    const members = [member(100, 'a'), member(200, 'a'), member(300, 'a'), member(400, 'b')];
    const { statistics } = planVersion({ members, sides: noSides, quarantined: {} });
    expect(statistics).toMatchObject({
      images: 4,
      bytes: 40,
      classes: { a: 3, b: 1 },
      sides: { train: { a: 1, b: 1 }, validation: { a: 1, b: 0 }, test: { a: 1, b: 0 } },
      formats: { png: 4 },
      width: { min: 100, mean: 250, max: 400 },
      imbalanceRatio: 3,
    });
  });

  it('lists the version for DVC in exactly the bytes that DVC would write', () => {
    const { dvc } = planVersion({
      members: [{ ...member(2, 'z'), format: 'jpeg' }, member(1, 'Löwe 🦁')],
      sides: noSides,
      quarantined: {},
    });
    const [one, two] = [member(1, '').sha256, member(2, '').sha256];
    expect(dvc.json).toBe(
      `[{"md5": "${member(1, '').md5}", "relpath": "L\\u00f6we \\ud83e\\udd81/${one}.png"}, ` +
        `{"md5": "${member(2, '').md5}", "relpath": "z/${two}.jpg"}]`,
    );
    expect(dvc.md5).toMatch(/^[0-9a-f]{32}$/);
  });
});
