// What could come next at the caret: field names, values of the field before it, each with counts, and operators; in
// an empty query what was asked before.
import * as api from '../api/search';
import { list_saved, type SearchContent } from '../api/saved';
import type { Scope } from '../api/search';
import { grouped } from '../shell/format';
import { value_text } from '../shell/text';
import { tokens } from './query';
import { recent } from './recent.svelte';

export interface Suggestion {
  label: string;
  detail: string;
  insert: string;
  /** The part of the query it takes the place of. */
  start: number;
  end: number;
}

const SHOWN_MAX = 12;
const OPERATORS: [string, string][] = [
  ['AND', 'both hold'],
  ['OR', 'one of them holds'],
  ['NOT', 'the next does not hold'],
  ['| stats count() by', 'groups and their counts'],
  ['| top 10', 'the commonest values of a field'],
  ['| rare 10', 'the rarest values of a field'],
  ['| timechart 5m', 'counts over time'],
  ['| patterns', 'messages that differ only in parts'],
];

/** Suggestions for `query` with the caret at `caret`; none when the server has none to give. */
export async function suggest(query: string, caret: number, scope: Scope): Promise<Suggestion[]> {
  const before = tokens(query.slice(0, caret));
  const [last, previous] = [before.at(-1), before.at(-2)];
  try {
    if (!last || query.trim() === '') return await asked_before(query.length);
    if (last.kind === 'space') return operators('', caret, caret);
    if (last.kind === 'field') return await values(last.text, '', caret, caret, scope);
    if (previous?.kind === 'field' && (last.kind === 'word' || last.kind === 'string')) {
      return await values(previous.text, last.text.replaceAll('"', ''), last.start, caret, scope);
    }
    if (last.kind === 'pipe') return operators('|', last.start, caret);
    if (last.kind === 'word' && last.text.length > 0) {
      return [...(await names(last.text, last.start, caret)), ...operators(last.text, last.start, caret)].slice(0, SHOWN_MAX);
    }
  } catch {
    // Suggestions are a help; without them the query still runs.
  }
  return [];
}

/** Operators that begin so, in capitals as they are written. */
function operators(prefix: string, start: number, end: number): Suggestion[] {
  return OPERATORS.filter(([word]) => word.startsWith(prefix)).map(([word, detail]) => ({ label: word, detail, insert: `${word} `, start, end }));
}

/** The last queries of this page, then the saved searches. */
async function asked_before(end: number): Promise<Suggestion[]> {
  const queries = recent.queries.map((query) => ({ label: query, detail: 'asked before', insert: query, start: 0, end }));
  const { items } = await list_saved<SearchContent>('saved-searches');
  const saved = items.flatMap(({ name, content }) => {
    const q = new URLSearchParams(content.params ?? '').get('q');
    return q ? [{ label: name, detail: `saved: ${q}`, insert: q, start: 0, end }] : [];
  });
  return [...queries, ...saved];
}

async function names(prefix: string, start: number, end: number): Promise<Suggestion[]> {
  const { items } = await api.fields(prefix);
  return items.slice(0, SHOWN_MAX).map(({ name, types, count }) => ({
    label: name,
    detail: `${types.join(', ')} · in ${grouped(count)} events`,
    insert: `${name}:`,
    start,
    end,
  }));
}

async function values(field: string, prefix: string, start: number, end: number, scope: Scope): Promise<Suggestion[]> {
  const { items } = await api.field_values(field.replace(/:$/, ''), prefix, scope);
  return items.slice(0, SHOWN_MAX).map(({ value, count }) => {
    const text = value_text(value);
    const insert = /^[\p{L}\p{N}_][\p{L}\p{N}_.@-]*$/u.test(text) ? text : `"${text.replace(/[\\"]/g, '\\$&')}"`;
    return { label: text, detail: `${grouped(count)} events`, insert, start, end };
  });
}
