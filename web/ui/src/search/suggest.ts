// What could come next at the caret: field names, and values of the field before it, each with counts.
import * as api from '../api/search';
import type { Scope } from '../api/search';
import { grouped } from '../shell/format';
import { value_text } from '../shell/text';
import { tokens } from './query';

export interface Suggestion {
  label: string;
  detail: string;
  insert: string;
  /** The part of the query it takes the place of. */
  start: number;
  end: number;
}

const SHOWN_MAX = 12;

/** Suggestions for `query` with the caret at `caret`; none when the server has none to give. */
export async function suggest(query: string, caret: number, scope: Scope): Promise<Suggestion[]> {
  const before = tokens(query.slice(0, caret));
  const [last, previous] = [before.at(-1), before.at(-2)];
  if (!last) return [];
  try {
    if (last.kind === 'field') return await values(last.text, '', caret, caret, scope);
    if (previous?.kind === 'field' && (last.kind === 'word' || last.kind === 'string')) {
      return await values(previous.text, last.text.replaceAll('"', ''), last.start, caret, scope);
    }
    if (last.kind === 'word' && last.text.length > 0) return await names(last.text, last.start, caret);
  } catch {
    // Suggestions are a help; without them the query still runs.
  }
  return [];
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
