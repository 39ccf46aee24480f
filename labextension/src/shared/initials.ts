/** One or two letters that stand for a name. Pure. */

const MAX_INITIALS = 2;

/** Characters as a reader counts them: a flag or an accented letter is one. */
function characters(text: string): string[] {
  // Firefox before 125 has no Segmenter; code points are right for most names.
  if (!('Segmenter' in Intl)) {
    return Array.from(text);
  }
  return Array.from(
    new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text),
    part => part.segment
  );
}

/** First characters of the first and the last word: "Ada King Lovelace" gives "AL". */
function fromName(name: string): string {
  const words = name.split(/[\s._-]+/u).filter(word => word !== '');
  const ends = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return ends.map(word => characters(word ?? '')[0] ?? '').join('');
}

/** The server's initials where it sent some, else those of the first name that has any. */
export function initialsOf(given: string, ...names: readonly string[]): string {
  const found = [given.trim(), ...names.map(fromName)].find(text => text !== '');
  return characters((found ?? '?').toLocaleUpperCase()).slice(0, MAX_INITIALS).join('');
}
