import {
  adviseOnConflict,
  adviseOnConflicts,
  type ConflictingFile,
} from '../../../../domain/datasets/conflict-advice.js';

function file(sourceId: number, label: string, missing = false): ConflictingFile {
  return { sourceId, kind: 'folder', locator: `/data/${sourceId}`, missing, label };
}

describe('the advice on a conflict', () => {
  it('names the label of each source and both ways out', () => {
    expect(adviseOnConflict('flowers', { sha256: 'ab', files: [file(1, 'grass'), file(2, 'dandelion')] })).toBe(
      'Source 1 (folder /data/1) says "grass", source 2 (folder /data/2) says "dandelion". ' +
        'Set the right label: PATCH /api/v1/datasets/flowers/images/ab with {"label": "…"}; ' +
        'or detach the wrong source: DELETE /api/v1/datasets/flowers/sources/1 or DELETE /api/v1/datasets/flowers/sources/2.',
    );
  });

  it('offers no source to detach when a single one says both', () => {
    const advice = adviseOnConflict('flowers', { sha256: 'ab', files: [file(1, 'grass'), file(1, 'dandelion')] });
    expect(advice).toContain('Source 1 (folder /data/1) says "dandelion" and "grass"');
    expect(advice).not.toContain('DELETE');
  });

  it('proposes to detach a source that is gone', () => {
    const files = [file(1, 'grass', true), file(2, 'meadow')];
    const advice = adviseOnConflict('flowers', { sha256: 'ab', files });
    expect(advice).toContain('Source 1 (folder /data/1, no longer there) says "grass"');
    expect(advice).toContain('detach its former place: DELETE /api/v1/datasets/flowers/sources/1.');
  });

  it.each([[[]], [[file(1, 'grass'), file(2, 'grass')]]])('says that it is solved when the files are %j', (files) => {
    expect(adviseOnConflict('flowers', { sha256: 'ab', files })).toContain('is solved');
  });
});

describe('the advice on all conflicts', () => {
  it('counts those between the same sources together, the most first', () => {
    const many = ['a', 'b', 'c'].map((sha256) => ({ sha256, files: [file(1, 'grass'), file(2, 'meadow')] }));
    const one = { sha256: 'd', files: [file(1, 'rose'), file(3, 'tulip')] };
    const advice = adviseOnConflicts('flowers', [one, ...many]) ?? '';
    expect(advice).toMatch(/^4 images appear under two labels/);
    expect(advice.indexOf('3 of them: Source 1')).toBeLessThan(advice.indexOf('1 of them: Source 1'));
    expect(advice).toContain('/images/{sha256}');
    expect(advice).toContain('/images/d ');
  });

  it('is none without conflicts', () => {
    expect(adviseOnConflicts('flowers', [])).toBeNull();
  });
});
