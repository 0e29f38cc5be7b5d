import { labelCounts, valueOf } from '../../../../contracts/datasets/by-label.js';
import { cleanLabel, labelSchema } from '../../../../contracts/datasets/label.js';
import { checkTrainable } from '../../../../domain/datasets/check-trainable.js';
import { clutterKind } from '../../../../domain/datasets/clutter.js';
import { similarLabels } from '../../../../domain/datasets/similar-labels.js';
import { sideOf } from '../../../../domain/datasets/source-layout.js';
import { statistics } from '../../../support/measurements.js';

describe('a label', () => {
  it.each([
    [' grass\u00a0', 'grass'],
    ['\ufeffgrass\u3000', 'grass'],
    ['Lo\u0308wenzahn', 'Löwenzahn'],
    ['red clover', 'red clover'],
    ['می\u200cخواهم', 'می\u200cخواهم'],
    ['👩\u200d🌾', '👩\u200d🌾'],
    ['❤\ufe0f', '❤\ufe0f'],
    ['__proto__', '__proto__'],
  ])('%j is read as %j', (given, label) => {
    expect(labelSchema.parse(given)).toBe(label);
  });

  it.each([
    '',
    ' \t',
    '\u200b',
    'gr\u200bass',
    'a\u202eb',
    'a\u00adb',
    'a\u2060',
    'x\u3164',
    '\u2800',
    'l\ufffdwe',
    'a\u200db',
    'a\nb',
    '..',
    'a/b',
    '\ud800',
  ])('%j is refused', (given) => {
    expect(labelSchema.safeParse(given).success).toBe(false);
  });

  it.each([
    ['grass ', 'grass'],
    ['\u200bgr\u200bass\ufeff', 'grass'],
    ['Lo\u0308wenzahn', 'Löwenzahn'],
    ['می\u200cخواهم', 'می\u200cخواهم'],
    ['👩\u200d🌾', '👩\u200d🌾'],
  ])('that an earlier release took, %j, is read by people as %j', (taken, read) => {
    expect(cleanLabel(taken)).toBe(read);
  });

  it('is refused with the name of its invisible character', () => {
    expect(labelSchema.safeParse('gr\u200bass').error?.issues[0]?.message).toContain('U+200B');
  });
});

describe('values by label', () => {
  const counts: unknown = JSON.parse('{"__proto__": 12, "constructor": 12, "toString": 12}');

  it('hold any string as a label', () => {
    const parsed = labelCounts().parse(counts);
    expect(Object.entries(parsed)).toEqual([
      ['__proto__', 12],
      ['constructor', 12],
      ['toString', 12],
    ]);
    expect(valueOf(parsed, '__proto__')).toBe(12);
    expect(valueOf(parsed, 'valueOf')).toBeUndefined();
    expect(labelCounts().safeParse({ grass: 'many' }).success).toBe(false);
    expect(labelCounts().safeParse([1]).success).toBe(false);
  });

  it('name a class without images in a split, whatever it is called', () => {
    const classes = labelCounts().parse(counts);
    const sides = { train: classes, validation: classes, test: labelCounts().parse({ constructor: 1 }) };
    expect(checkTrainable({ ...statistics, classes, sides })).toMatch(/no image in the test split/);
  });
});

it('labels that a person may have meant as one class are grouped, others are not', () => {
  const labels = ['grass', 'Grass', 'gras s', 'grass.', 'ｇrass', 'grаss', 'moss', 'c', 'c++', 'c#', '+', '-', 'rose'];
  expect(similarLabels(labels).map((group) => group.length)).toEqual([6]);
});

it.each([
  ['@eaDir', 'thumbnails'],
  ['#recycle', 'trash'],
  ['.Trash-1000', 'trash'],
  ['LOST+FOUND', 'system'],
  ['._0.jpg', 'resource_forks'],
  ['.git', 'hidden'],
  ['a.jpg~', 'temporary'],
  ['~$notes.docx', 'temporary'],
  ['grass', null],
  ['tmp', null],
  ['part', null],
])('%s is skipped as %s', (name, kind) => {
  expect(clutterKind(name)).toBe(kind);
});

it.each([
  ['Train', 'train'],
  ['training_set', 'train'],
  ['seg_train', 'train'],
  ['train2017', 'train'],
  ['VALID', 'validation'],
  ['val', 'validation'],
  ['test', 'test'],
  ['trainer', null],
  ['valley', null],
  ['testament', null],
])('a folder %s stands for the side %s', (name, side) => {
  expect(sideOf(name)).toBe(side);
});
