// Reads the query language just far enough to colour it, to list its filters, and to add or remove one.
// What it does not understand stays as it is: the server alone decides what a query means.
import { value_text } from '../shell/text';
import type { FieldValue } from '../api/types';

export type TokenKind = 'space' | 'operator' | 'field' | 'string' | 'range' | 'paren' | 'pipe' | 'word';

export interface Token {
  kind: TokenKind;
  text: string;
  start: number;
  is_closed: boolean;
}

function end_of_string(query: string, quote: number): { end: number; is_closed: boolean } {
  for (let at = quote + 1; at < query.length; at += 1) {
    if (query[at] === '\\') at += 1;
    else if (query[at] === '"') return { end: at + 1, is_closed: true };
  }
  return { end: query.length, is_closed: false };
}

/** Cuts `query` into tokens that together are the whole text. */
export function tokens(query: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  const push = (kind: TokenKind, end: number, is_closed = true) => {
    found.push({ kind, text: query.slice(at, end), start: at, is_closed });
    at = end;
  };
  while (at < query.length) {
    const char = query[at] ?? '';
    const quote = char === '"' ? at : char === '~' && query[at + 1] === '"' ? at + 1 : -1;
    if (/\s/.test(char)) push('space', at + (/^\s+/.exec(query.slice(at))?.[0].length ?? 1));
    else if (quote >= 0) {
      const { end, is_closed } = end_of_string(query, quote);
      push('string', end, is_closed);
    } else if (char === '[') {
      const close = query.indexOf(']', at);
      push('range', close < 0 ? query.length : close + 1, close >= 0);
    } else if (char === '(' || char === ')') push('paren', at + 1);
    else if (char === '|') push('pipe', at + 1);
    else if (char === '-' && found.at(-1)?.kind !== 'field') push('operator', at + 1);
    else {
      const follows_field = found.at(-1)?.kind === 'field';
      const word = /^[^\s()|"[\]]+/.exec(query.slice(at))?.[0] ?? char;
      const colon = follows_field ? -1 : word.indexOf(':');
      if (colon > 0) push('field', at + colon + 1);
      else push(/^(AND|OR|NOT)$/.test(word) ? 'operator' : 'word', at + word.length);
    }
  }
  return found;
}

/** One condition of the query; all of them must hold. */
export interface Clause {
  text: string;
  is_negated: boolean;
  field: string | null;
  /** The plain values asked for; null when it is a pattern, a range or something else. */
  values: string[] | null;
}

export interface Split {
  clauses: Clause[];
  /** From the first `|` on, or ''. */
  pipes: string;
  /** An OR stands at the top, so the query is one clause. */
  is_mixed: boolean;
}

function unquoted(text: string): string | null {
  if (/^".*"$/s.test(text)) return text.slice(1, -1).replace(/\\(.)/gs, '$1');
  return /^[^*?"~<>[\]()]+$/.test(text) ? text : null;
}

function clause_of(text: string): Clause {
  const match = /^(NOT\s+|-)?("(?:[^"\\]|\\.)*"|[\p{L}\p{N}_.@/$+#-]+):(.+)$/su.exec(text);
  const [, not, name, rest] = match ?? [];
  const field = name?.startsWith('"') ? unquoted(name) : name;
  if (!field || !rest) return { text, is_negated: /^(NOT\s|-)/.test(text), field: null, values: null };
  let values: string[] | null = null;
  if (rest.startsWith('(') && rest.endsWith(')')) {
    const inner = tokens(rest.slice(1, -1)).filter(({ kind }) => kind !== 'space');
    const words = inner.filter(({ text: word }) => word !== 'OR').map(({ text: word }) => unquoted(word));
    if (words.length > 0 && words.every((word) => word !== null)) values = words as string[];
  } else {
    const value = unquoted(rest);
    if (value !== null) values = [value];
  }
  return { text, is_negated: not !== undefined, field, values };
}

/** Splits `query` at its top into the conditions that are joined by AND. */
export function split(query: string): Split {
  const texts: string[] = [];
  let [depth, current, is_mixed, pipes] = [0, '', false, ''];
  const flush = () => {
    if (current.trim()) texts.push(current.trim());
    current = '';
  };
  for (const token of tokens(query)) {
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    if (depth <= 0 && token.kind === 'pipe') {
      pipes = query.slice(token.start);
      break;
    }
    const is_top = depth === 0;
    if (is_top && token.kind === 'operator' && token.text === 'OR') is_mixed = true;
    if (is_top && token.kind === 'operator' && token.text === 'AND') flush();
    else if (is_top && token.kind === 'space' && !/^NOT$/.test(current.trim())) flush();
    else current += token.text;
  }
  flush();
  if (is_mixed) {
    const core = query.slice(0, query.length - pipes.length).trim();
    return { clauses: [{ text: core, is_negated: false, field: null, values: null }], pipes, is_mixed };
  }
  return { clauses: texts.map(clause_of), pipes, is_mixed };
}

/** Cuts a query without pipes at the ORs that stand at its top. */
export function alternatives(query: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const token of tokens(query)) {
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    if (depth === 0 && token.kind === 'operator' && token.text === 'OR') parts.push('');
    else parts[parts.length - 1] += token.text;
  }
  return parts.map((part) => part.trim());
}

function quoted(value: string): string {
  const is_plain = /^[\p{L}\p{N}_][\p{L}\p{N}_.@-]*$/u.test(value) && !/^(AND|OR|NOT|TO)$/i.test(value);
  return is_plain ? value : `"${value.replace(/[\\"]/g, '\\$&')}"`;
}

/** A field's name as a query has it: in quotes when it could be read as something else. */
export function field_text(name: string): string {
  return /^[\p{L}_@$#][\p{L}\p{N}_.@/$+#-]*$/u.test(name) ? name : `"${name.replace(/[\\"]/g, '\\$&')}"`;
}

function clause_text(field: string, values: string[], is_negated: boolean): string {
  const words = values.map(quoted);
  return `${is_negated ? 'NOT ' : ''}${field_text(field)}:${words.length === 1 ? words[0] : `(${words.join(' OR ')})`}`;
}

function joined({ clauses, pipes, is_mixed }: Split): string {
  const texts = clauses.map(({ text }) => text).filter((text) => text !== '*' || clauses.length === 1);
  const core = texts.map((text, index) => (is_mixed && index === 0 && texts.length > 1 ? `(${text})` : text));
  return [core.join(' AND '), pipes].filter(Boolean).join(' ');
}

/** `query` with the condition that `field` is (or is not) `value`. */
export function with_filter(query: string, field: string, value: FieldValue, is_negated = false): string {
  const text = value_text(value);
  const parts = split(query);
  const without_opposite = without_value(parts.clauses, field, text, !is_negated);
  const same = without_opposite.find(
    (clause) => clause.field === field && clause.is_negated === is_negated && clause.values,
  );
  if (same?.values?.includes(text)) return joined({ ...parts, clauses: without_opposite });
  if (same?.values) {
    const merged = clause_of(clause_text(field, [...same.values, text], is_negated));
    return joined({ ...parts, clauses: without_opposite.map((clause) => (clause === same ? merged : clause)) });
  }
  return joined({ ...parts, clauses: [...without_opposite, clause_of(clause_text(field, [text], is_negated))] });
}

function without_value(clauses: Clause[], field: string, value: string, is_negated: boolean): Clause[] {
  return clauses.flatMap((clause) => {
    const is_it = clause.field === field && clause.is_negated === is_negated && clause.values?.includes(value);
    if (!is_it || !clause.values) return [clause];
    const left = clause.values.filter((other) => other !== value);
    return left.length > 0 ? [clause_of(clause_text(field, left, is_negated))] : [];
  });
}

/** `query` without the condition that `field` is `value`. */
export function without_filter(query: string, field: string, value: FieldValue): string {
  const parts = split(query);
  return joined({ ...parts, clauses: without_value(parts.clauses, field, value_text(value), false) });
}

/** `query` without its clause number `index`. */
export function without_clause(query: string, index: number): string {
  const parts = split(query);
  return joined({ ...parts, clauses: parts.clauses.filter((_, at) => at !== index) });
}

/** `query` without the positive conditions on `field`: what its facet is counted over. */
export function without_field(query: string, field: string): string {
  const parts = split(query);
  const clauses = parts.clauses.filter((clause) => clause.field !== field || clause.is_negated || !clause.values);
  return joined({ ...parts, clauses });
}

/** The values of `field` that the query asks for. */
export function wanted_values(query: string, field: string): string[] {
  return split(query)
    .clauses.filter((clause) => clause.field === field && !clause.is_negated)
    .flatMap((clause) => clause.values ?? []);
}

/** `query` without its pipes: what the histogram and the facets count. */
export function before_pipes(query: string): string {
  const { pipes } = split(query);
  return query.slice(0, query.length - pipes.length).trim();
}
