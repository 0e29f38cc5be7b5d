import { z } from 'zod';

/** Characters that occupy no space on the screen, steer the direction of text, or stand for bytes that were lost. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\u2800\ufff9-\ufffd]/gu;

/** Joiners are part of the spelling between letters of these scripts, and joiners and selectors within emoji. */
const spelled =
  /(?<=[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}])[\u200c\u200d](?=\p{L})|(?<=\p{Extended_Pictographic}|\p{Emoji_Modifier})\ufe0f?\u200d(?=\p{Extended_Pictographic})|(?<=\p{Extended_Pictographic})\ufe0f/gu;

/** The first invisible character of a text as `U+200B`; null without one. */
function invisibleCharacter(text: string): string | null {
  const [found] = text.replace(spelled, '').match(invisible) ?? [];
  const code = found?.codePointAt(0);
  return code === undefined ? null : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

const spelledOrInvisible = new RegExp(`(${spelled.source})|${invisible.source}`, 'gu');

/** A label as people read it: without blanks around it and invisible characters, in Unicode NFC. */
export function cleanLabel(label: string): string {
  return label.normalize('NFC').replace(spelledOrInvisible, '$1').trim();
}

/**
 * The class that a client means, as the model spells it. Models of earlier releases may have classes such as “grass ”, which
 * the rules of labels would not make today. Null if it is none.
 */
export function classNamed(classes: readonly string[], label: string): string | null {
  if (classes.includes(label)) return label;
  const wanted = cleanLabel(label);
  const [only, ...others] = classes.filter((name) => cleanLabel(name) === wanted);
  return others.length === 0 ? (only ?? null) : null;
}

/**
 * A class label: without blanks around it, in Unicode NFC. Folders, uploads, feedback, labels and imported models all
 * use it, so that one class has one spelling.
 */
export const labelSchema = z
  .string()
  .trim()
  .normalize('NFC')
  .min(1, 'a label must not be blank')
  .max(100, 'a label must have at most 100 characters')
  .refine(
    (label) => label !== '.' && label !== '..' && !/[/\\\p{Cc}\p{Cs}]/u.test(label),
    'a label must not contain a slash, a control character or an unpaired surrogate',
  )
  .refine((label) => invisibleCharacter(label) === null, {
    error: ({ input }) =>
      `a label must not contain the invisible character ${invisibleCharacter(String(input)) ?? ''}; type the name again`,
  });
