import { csvLine } from '../../../../model/predictions/csv.js';

describe('csvLine', () => {
  it('quotes what RFC 4180 wants quoted, doubles quotes, and ends with CRLF', () => {
    expect(csvLine(['plain', 'a,b', 'say "x"', 'two\nlines', null, 0.25, true])).toBe(
      'plain,"a,b","say ""x""","two\nlines",,0.25,true\r\n',
    );
  });

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\rx'])('puts an apostrophe before %j', (text) => {
    expect(csvLine([text])).toMatch(/^"?'/);
  });

  it('leaves numbers alone, also negative ones', () => {
    expect(csvLine([-1, 1e-7])).toBe('-1,1e-7\r\n');
  });
});
