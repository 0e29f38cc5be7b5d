import { PerennialError } from '../../../contracts/errors.js';

/** Refuses a file in a field that takes none. */
export function fileElsewhere(sent: string, field: string): PerennialError {
  const where = sent === '' ? 'a field without a name' : `the field “${sent.slice(0, 100)}”`;
  return new PerennialError('bad_request', `There is a file in ${where}. Send it in the field “${field}”.`);
}

/** Refuses a form without files; names the fields that it has instead. */
export function noFileIn(field: string, sent: readonly string[], advice = ''): PerennialError {
  const names = [...new Set(sent)].slice(0, 10).map((name) => `“${name.slice(0, 100)}”`);
  const instead = names.length === 0 ? 'no field' : `only ${names.join(', ')}`;
  const detail = sent.includes(field)
    ? `The field “${field}” holds text. Give its part a file name.`
    : `The form has no file in the field “${field}”; it has ${instead}.`;
  return new PerennialError(
    'no_file',
    `${detail} ${advice === '' ? `Send the file in the field “${field}”.` : advice}`,
  );
}
