import { decodeBase64 } from '../../../../../api/http/body/decode-base64.js';

const bytes = Buffer.from([0xfb, 0xff, 0xbe, 0x41, 0x42]);
const text = bytes.toString('base64');
const percents = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

describe('decodeBase64', () => {
  it.each([
    ['base64', text],
    ['the alphabet of URLs', text.replaceAll('+', '-').replaceAll('/', '_')],
    ['missing padding', text.replace('=', '')],
    ['lines as in a mail', `${text.slice(0, 4)}\r\n${text.slice(4)}\r\n`],
    ['a data URL', `data:image/png;base64,${text}`],
    ['a data URL with a name', `data:image/jpeg;name=photo%201.jpg;base64,${text}`],
    ['a data URL with a quoted parameter', `data:image/jpeg;name="a photo.jpg";charset=utf-8;base64,${text}`],
    ['a data URL in upper case', `DATA:IMAGE/PNG;BASE64,${text}`],
    ['a data URL with blanks and line breaks', ` data:image/png; base64 ,\n${text.slice(0, 4)}\n${text.slice(4)}\n`],
    ['a data URL without a type', `data:;base64,${text}`],
    ['a data URL whose base64 is percent-encoded', `data:image/png;base64,${encodeURIComponent(text)}`],
    ['a data URL without base64', `data:image/png,${percents}`],
    ['a data URL that is partly percent-encoded', `data:image/png;charset=latin1,${percents.slice(0, 9)}AB`],
  ])('takes %s', (_form, sent) => {
    expect(decodeBase64(sent, '#/image')).toEqual(bytes);
  });

  it.each([
    ['other characters', `${text.slice(0, 3)}!${text.slice(4)}`, 'other characters, the first of them "!" at 4'],
    ['padding in the middle', `AA==${text}`, 'other characters, the first of them "=" at 3'],
    ['a text that is cut off', text.slice(0, 5), 'cut off'],
    [
      'a blank with another character',
      `${text.slice(0, 3)} .${text.slice(4)}`,
      'other characters, the first of them "."',
    ],
    ['padding alone', '====', 'other characters, the first of them "="'],
    ['no text', '', 'got no text'],
    ['a data URL without data', 'data:image/png;base64,', 'got no text'],
    ['a data URL without a comma', `data:image/png;base64`, 'no comma'],
    ['a data URL with base64 in the wrong place', `data:base64;image/png,${text}`, '`base64` must be the last'],
    ['an incomplete % sequence', 'data:image/png,%4', 'incomplete % sequence'],
  ])('refuses %s and says why', (_form, sent, why) => {
    expect(() => decodeBase64(sent, '#/image')).toThrow(why);
    expect(() => decodeBase64(sent, '#/image')).toThrow(/^#\/image: /);
  });
});
