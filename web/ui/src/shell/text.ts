// Makes text from records harmless to look at: what cannot be seen or turns text around becomes a visible escape.

/**
 * C0 and C1 controls, soft hyphen, zero-width and bidirectional marks, separators, invisible fillers, tags, and
 * halves of surrogate pairs.
 */
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Cs}/gu;

/** The same, but new lines and tabs stay: for text that is shown over several lines. */
const KEPT_IN_BLOCKS = new Set(['\n', '\t']);

const NAMED: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0', '\u001b': '\\e' };

export interface Piece {
  text: string;
  /** The text is an escape and not what was shipped. */
  escape: boolean;
}

function escape_of(char: string): string {
  const named = NAMED[char];
  if (named) return named;
  return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
}

/** Splits `text` into what can be shown as it is and what is shown as an escape. */
export function pieces(text: string, is_block = false): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    const char = match[0];
    if (is_block && KEPT_IN_BLOCKS.has(char)) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index), escape: false });
    found.push({ text: escape_of(char), escape: true });
    end = match.index + char.length;
  }
  if (end < text.length || found.length === 0) found.push({ text: text.slice(end), escape: false });
  return found;
}

/** `text` with its escapes, for names, titles and tooltips. */
export function visible(text: string): string {
  return text.replace(HIDDEN, escape_of);
}

/** A field's value as text; arrays and objects as JSON. */
export function value_text(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
