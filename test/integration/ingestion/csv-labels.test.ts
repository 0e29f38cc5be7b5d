import { join } from 'node:path';
import type { IngestionResult } from '../../../contracts/datasets/ingestion.js';
import { patternImage, startIngestionFixture, type IngestionFixture } from '../../support/ingestion-fixture.js';
import { textMatching } from '../../support/text-matching.js';

describe('a table of files and labels', () => {
  let fixture: IngestionFixture;
  let images: Record<string, Uint8Array>;
  beforeAll(async () => {
    fixture = await startIngestionFixture();
    images = Object.fromEntries(
      await Promise.all([0, 1, 2, 3].map(async (number) => [`${number}.jpg`, await patternImage(number)] as const)),
    );
  });
  afterAll(() => fixture.stop());

  function write(table: string | Uint8Array, files: Readonly<Record<string, Uint8Array | string>> = images): string {
    return join(fixture.folder({ ...files, 'labels.csv': table }), 'labels.csv');
  }

  function ingest(
    dataset: string,
    table: string | Uint8Array,
    files?: Readonly<Record<string, Uint8Array | string>>,
  ): Promise<IngestionResult> {
    return fixture.ingest({ kind: 'csv', path: write(table, files) }, dataset);
  }

  async function quarantined(dataset: string): Promise<Record<string, string>> {
    const detail = await fixture.datasets.versionDetail(dataset, 1);
    return Object.fromEntries(
      detail.quarantined.map(({ path, reason, detail: why }) => [path, `${reason}: ${why ?? ''}`]),
    );
  }

  const plain = ['0.jpg,grass', '1.jpg,grass', '2.jpg,dandelion', '3.jpg,dandelion'];
  const two = { dandelion: 2, grass: 2 };

  it.each([
    ['with a header', ['path,label', ...plain].join('\n')],
    ['without a header', plain.join('\n')],
    [
      'with semicolons, a byte order mark and Windows line ends',
      `\ufeff${['File;Class', ...plain].join('\r\n').replaceAll(',', ';')}\r\n`,
    ],
    [
      'with tabs and other columns, which come first',
      ['id\tcategory\timage', ...plain.map((row, at) => [at, ...row.split(',').reverse()].join('\t'))].join('\n'),
    ],
    [
      'with quotes, blanks and empty rows',
      ['"filename" , "label"', '', ...plain.map((row) => row.replace(/(.*),(.*)/, '"$1","$2"')), ',', '']
        .join('\n')
        .replaceAll(' , ', ','),
    ],
    [
      'with paths of Windows and from here',
      ['path,label', '.\\0.jpg,grass', './1.jpg,grass', ...plain.slice(2)].join('\n'),
    ],
  ])('is read %s', async (name, table) => {
    const { statistics, quarantined: refused } = await ingest(`read-${name.replaceAll(/[^a-z]+/g, '-')}`, table);
    expect({ classes: statistics.classes, refused }).toEqual({ classes: two, refused: 0 });
  });

  it('may name files of deeper folders, by path or by a name that only one of them has', async () => {
    const files = Object.fromEntries(Object.entries(images).map(([name, bytes]) => [`images/${name}`, bytes]));
    const table = ['path,label', 'images/0.jpg,grass', 'images\\1.jpg,grass', ...plain.slice(2)].join('\n');
    expect((await ingest('deeper', table, files)).statistics.classes).toEqual(two);
  });

  it('keeps commas, quotes, line breaks and Unicode of a quoted field', async () => {
    const files = { 'a, "b".jpg': await patternImage(10), 'ü.jpg': await patternImage(11) };
    const table = 'path,label\n"a, ""b"".jpg","red, clover"\nü.jpg,Löwenzahn\n';
    expect((await ingest('quoted', table, files)).statistics.classes).toEqual({ Löwenzahn: 1, 'red, clover': 1 });
  });

  it('leaves no file and no row without a reason', async () => {
    const files = {
      ...images,
      'unlisted.jpg': await patternImage(20),
      'twice.jpg': await patternImage(21),
      'x/same.jpg': await patternImage(22),
      'y/same.jpg': await patternImage(23),
      'bad.jpg': await patternImage(24),
      'text.jpg': 'no image',
    };
    const rows = [
      ...['missing.jpg,grass', 'twice.jpg,grass', 'twice.jpg,dandelion', '../secret.jpg,grass', '/etc/passwd,grass'],
      ...['C:\\photos\\a.jpg,grass', 'same.jpg,grass', 'bad.jpg,a/b', 'text.jpg,grass', '0.jpg,grass', 'x/same.jpg,'],
    ];
    const result = await ingest('complete', ['path,label', ...plain, ...rows].join('\n'), files);
    expect(result.statistics.classes).toEqual(two);
    expect(await quarantined('complete')).toEqual({
      'missing.jpg (row 6)': textMatching(/^unreadable: Row 6: there is no file/),
      'twice.jpg': textMatching(/^bad_label: Row 7 .*“grass”, row 8 “dandelion”/),
      '../secret.jpg (row 9)': textMatching(/^unsafe_entry: Row 9/),
      '/etc/passwd (row 10)': textMatching(/^unsafe_entry/),
      'C:\\photos\\a.jpg (row 11)': textMatching(/^unsafe_entry/),
      'same.jpg (row 12)': textMatching(/^unreadable: Row 12: 2 files are called same.jpg/),
      'bad.jpg': textMatching(/^bad_label: The label in row 13/),
      'text.jpg': textMatching(/^unsupported_type/),
      'x/same.jpg': textMatching(/^bad_label: The label in row 16/),
      'y/same.jpg': textMatching(/^not_listed: labels.csv has no row/),
      'unlisted.jpg': textMatching(/^not_listed/),
    });
    expect(result.note).toMatch(/1 rows of labels.csv repeat an earlier one: 15\./);
  });

  it('says which columns it does not use', async () => {
    const { note } = await ingest('columns', ['path,label,split', ...plain.map((row) => `${row},train`)].join('\n'));
    expect(note).toBe('Columns of labels.csv that are not used: split.');
  });

  it.each([
    ['photo,species\n0.jpg,grass\n', /“path” and “label”/],
    ['0.jpg\n1.jpg\n', /“path” and “label”/],
    ['', /no rows/],
    ['path,label\n', /no rows/],
    ['path,label\n"0.jpg,grass\n', /not well-formed .*line 2/],
    [Buffer.from('path,label\n0.jpg,L\xf6wenzahn\n', 'latin1'), /not UTF-8/],
  ])('%# is refused whole when nobody can tell what it means', async (table, message) => {
    const refused = ingest('refused', table);
    await expect(refused).rejects.toMatchObject({ code: 'source_invalid' });
    await expect(refused).rejects.toThrow(message);
  });

  it('is scanned again by a retraining, and must be below an allowed folder', async () => {
    const path = write(plain.join('\n'));
    await fixture.ingest({ kind: 'csv', path }, 'again');
    expect(await fixture.datasets.rescanTargets('again')).toEqual([{ kind: 'csv', path }]);
    const foreign = fixture.ingest({ kind: 'csv', path: '/etc/hosts' });
    await expect(foreign).rejects.toMatchObject({ code: 'source_not_allowed' });
  });
});
