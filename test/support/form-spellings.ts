/** Legal headers of a part that holds a file in the field `FIELD`, by what is special about them, and the file's name. */
export const fileSpellings: readonly (readonly [string, string, string | null])[] = [
  ['plain', 'Content-Disposition: form-data; name="FIELD"; filename="a.jpg"', 'a.jpg'],
  [
    'an extended file name',
    "Content-Disposition: form-data; name=FIELD; filename*=UTF-8''fl%C3%B6wer.jpg",
    'flöwer.jpg',
  ],
  [
    'a quoted extended one',
    `Content-Disposition: form-data; name="FIELD"; filename*="UTF-8''fl%C3%B6wer.jpg"`,
    'flöwer.jpg',
  ],
  [
    'both',
    `Content-Disposition: form-data; name="FIELD"; filename="x"; filename*=utf-8'de'fl%C3%B6wer.jpg`,
    'flöwer.jpg',
  ],
  ['Latin-1', "Content-Disposition: form-data; name=FIELD; filename*=iso-8859-1'en'fl%F6wer.jpg", 'flöwer.jpg'],
  ['no file name', 'Content-Disposition: form-data; name="FIELD"\r\nContent-Type: image/jpeg', null],
  ['no file name and no type', 'Content-Disposition: form-data; name="FIELD"', null],
  ['lower case', 'content-disposition: FORM-DATA; NAME="FIELD"; FILENAME="a.jpg"\r\ncontent-type: IMAGE/JPEG', 'a.jpg'],
  ['folded', 'Content-Disposition: form-data;\r\n name="FIELD";\r\n\tfilename="a.jpg"', 'a.jpg'],
  [
    'another order',
    'Content-Type: image/jpeg\r\nContent-Disposition: form-data; filename="a.jpg"; name="FIELD"',
    'a.jpg',
  ],
  ['no blanks', 'Content-Disposition:form-data;name="FIELD";filename="a.jpg"', 'a.jpg'],
  ['blanks', 'Content-Disposition:  form-data ; name = "FIELD" ; filename = "a.jpg" ', 'a.jpg'],
  [
    'a file name like a parameter',
    'Content-Disposition: form-data; name="FIELD"; filename="a; name=b.jpg"',
    'a; name=b.jpg',
  ],
  ['quotes in the file name', 'Content-Disposition: form-data; name="FIELD"; filename="a \\"b\\".jpg"', 'a "b".jpg'],
  [
    'other headers',
    'X-Any: 1\r\nContent-Length: 3\r\nContent-Disposition: form-data; name="FIELD"; filename="a.jpg"',
    'a.jpg',
  ],
];

/** A form with boundary BB of one part with these headers, whose file holds the text “RIFF\r\n--B”. */
export function formWithHeaders(headers: string, field: string): string {
  return `--BB\r\n${headers.replaceAll('FIELD', field)}\r\n\r\nRIFF\r\n--B\r\n--BB--\r\n`;
}

export const spelledFile = 'RIFF\r\n--B';
