/** Letters of other alphabets that look like Latin ones. */
const foreign = 'аеорсухіјѕԁһԛԝαορνυκ';
const latin = 'aeopcyxijsdhqwaopvuk';
const lookalikes = new Map(Array.from(foreign, (letter, index) => [letter, latin[index] ?? '']));

/** Groups of labels that a person may have meant as one class: they differ in case, blanks, width or punctuation. */
export function similarLabels(labels: readonly string[]): string[][] {
  const groups = new Map<string, string[]>();
  for (const label of [...labels].sort()) {
    const key = keyOf(label);
    groups.set(key, [...(groups.get(key) ?? []), label]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** Punctuation alone distinguishes labels such as `+` and `-`, so that a label without letters stays unchanged. */
function keyOf(label: string): string {
  const plain = label.normalize('NFKC').toLowerCase();
  const spelled = Array.from(plain, (letter) => lookalikes.get(letter) ?? letter).join('');
  const key = spelled.replace(/[\s_.\u2010-\u2015-]+/gu, '').replace(/[,;:!?'"`´’]+$/u, '');
  return key === '' ? plain : key;
}
