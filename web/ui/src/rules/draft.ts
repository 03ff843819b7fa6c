// Drafts of rules: from a search, from an alert, and with another state.
import { alternatives, before_pipes, split, type Clause } from '../search/query';

export type RuleState = 'enabled' | 'testing' | 'disabled';

/** A random id as Sigma wants it; also where the page is not a secure context. */
export function new_id(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A JSON text is a YAML one. */
const quoted = (text: string) => JSON.stringify(text);
/** `*` and `?` of a plain value are letters, not patterns. */
const literal = (text: string) => quoted(text.replace(/[\\*?]/g, '\\$&'));

interface Item {
  key: string;
  values: string[];
}

function number_or_text(value: string): string {
  return /^-?\d+(\.\d+)?$/.test(value) ? value : quoted(value);
}

const NETWORK = /^(?=.*[.:])[0-9a-f.:]+\/\d{1,3}$/i;

/** The values of a field: networks, parts of the message, or whole values; null when they are of several kinds. */
function values_of(field: string, values: string[]): Item[] | null {
  const networks = values.filter((value) => NETWORK.test(value));
  if (networks.length > 0) return networks.length === values.length ? [{ key: `${field}|cidr`, values: values.map(quoted) }] : null;
  // A search finds words anywhere in the message, and whole values of other fields.
  return [{ key: field === 'message' ? 'message|contains' : field, values: values.map(literal) }];
}

const COMPARED: Record<string, string> = { '>=': 'gte', '<=': 'lte', '>': 'gt', '<': 'lt' };

/** One condition of a search as items of a Sigma selection; null when it has no counterpart. */
function items_of(clause: Clause): Item[] | null {
  if (clause.field && clause.values) return values_of(clause.field, clause.values);
  const text = clause.text.replace(/^(NOT\s+|-)/, '');
  const match = /^([\p{L}\p{N}_@.-]+):(.+)$/su.exec(text);
  if (!match) {
    const word = text.replace(/^"(.*)"$/s, '$1');
    return /[()|]|^~/.test(word) ? null : [{ key: '', values: [quoted(word)] }];
  }
  const [, field = '', rest = ''] = match;
  if (rest === '*') return [{ key: `${field}|exists`, values: ['true'] }];
  const regex = /^~"(.*)"$/s.exec(rest);
  if (regex) return [{ key: `${field}|re`, values: [quoted((regex[1] ?? '').replace(/\\"/g, '"'))] }];
  const compared = /^(>=|<=|>|<)(.+)$/.exec(rest);
  if (compared) return [{ key: `${field}|${COMPARED[compared[1] ?? ''] ?? 'gte'}`, values: [number_or_text(compared[2] ?? '')] }];
  const range = /^\[\s*(\S+)\s+TO\s+(\S+)\s*\]$/.exec(rest);
  if (range) {
    const ends: [string, string][] = [['gte', range[1] ?? '*'], ['lte', range[2] ?? '*']];
    return ends.filter(([, end]) => end !== '*').map(([name, end]) => ({ key: `${field}|${name}`, values: [number_or_text(end)] }));
  }
  if (NETWORK.test(rest)) return [{ key: `${field}|cidr`, values: [quoted(rest)] }];
  if (/^[^()[\]"]+$/.test(rest)) return [{ key: field, values: [quoted(rest)] }];
  return null;
}

function selection(name: string, items: Item[]): string[] {
  const words = items.filter(({ key }) => key === '').flatMap(({ values }) => values);
  const fields = items.filter(({ key }) => key !== '');
  if (fields.length === 0) return [`  ${name}:`, ...words.map((word) => `    - ${word}`)];
  return [
    `  ${name}:`,
    ...fields.map(({ key, values }) => (values.length === 1 ? `    ${key}: ${values[0]}` : `    ${key}: [${values.join(', ')}]`)),
  ];
}

interface Drafted {
  lines: string[];
  condition: string;
  /** What has no counterpart in Sigma. */
  left: string[];
}

/** What a query without pipes looks for, as selections whose names end in `suffix`. */
function drafted(query: string, suffix: string): Drafted {
  const parts = alternatives(query);
  if (parts.length === 1) return conjunction(query, suffix);
  const made = parts.map((part, index) => conjunction(part, `${suffix}_${index + 1}`));
  return {
    lines: made.flatMap(({ lines }) => lines),
    condition: made.map(({ condition }) => (condition.includes(' ') ? `(${condition})` : condition)).join(' or '),
    left: made.flatMap(({ left }) => left),
  };
}

/** Conditions that must all hold. */
function conjunction(query: string, suffix: string): Drafted {
  const lines: string[] = [];
  const condition: string[] = [];
  const left: string[] = [];
  const own: string[] = [];
  const groups: string[] = [];
  const add = (name: string, items: Item[], prefix = '') => {
    lines.push(...selection(name, items));
    condition.push(prefix + name);
  };
  const wanted: Item[] = [];
  const rest: [string, Item[], string][] = [];
  const count = (kind: string) => rest.filter(([name]) => name.startsWith(kind)).length + 1;
  for (const clause of split(query).clauses.filter(({ text }) => text !== '*')) {
    const group = /^(?:NOT\s+|-)?\((.*)\)$/s.exec(clause.text);
    if (group) {
      const inner = drafted(group[1] ?? '', `${suffix}_group${groups.length + 1}`);
      lines.push(...inner.lines);
      left.push(...inner.left);
      groups.push(`${clause.is_negated ? 'not ' : ''}(${inner.condition})`);
      continue;
    }
    const items = items_of(clause);
    // No selection has this name: the rule has a problem until somebody has written it.
    if (!items) own.push(`rest${suffix}: not carried over: ${clause.text.replace(/[\r\n]+/g, ' ')}`);
    else if (clause.is_negated) rest.push([`not${suffix}_${count('not')}`, items, 'not ']);
    else if (items.some(({ key }) => key === '')) rest.push([`words${suffix}_${count('words')}`, items, '']);
    // A selection names each field once.
    else if (items.some(({ key }) => wanted.some((known) => known.key === key))) rest.push([`also${suffix}_${count('also')}`, items, '']);
    else wanted.push(...items);
  }
  const is_positive = own.length > 0 || groups.some((group) => !group.startsWith('not ')) || rest.some(([, , prefix]) => prefix === '');
  if (wanted.length > 0) add(`wanted${suffix}`, wanted);
  else if (!is_positive) add(`wanted${suffix}`, [{ key: 'message|exists', values: ['true'] }]);
  rest.forEach((one) => add(...one));
  condition.push(...groups);
  if (own.length > 0) condition.push(`rest${suffix}`);
  return { lines, condition: condition.join(' and '), left: [...left, ...own] };
}

/** A rule that looks for what a search found; what has no counterpart in Sigma stands in a comment, and its place open. */
export function draft_from_query(query: string): string {
  const core = before_pipes(query);
  const { lines, condition, left } = drafted(core, '');
  return [
    `title: New rule`,
    `id: ${new_id()}`,
    `description: ${quoted(core ? `From the search ${core}` : 'What it looks for, in words')}`,
    `level: medium`,
    `logsource: {}`,
    `detection:`,
    ...left.map((text) => `  # ${text}`),
    ...lines,
    `  condition: ${condition}`,
    `logwarden:`,
    `  state: testing`,
    `  what_to_do: ""`,
    '',
  ].join('\n');
}

/** The text of another rule as the beginning of a new one: with an id of its own, and no name that is taken. */
export function draft_from_rule(text: string): string {
  return with_state(
    text
      .replace(/^id:.*$/m, `id: ${new_id()}`)
      .replace(/^name:.*\n/m, '')
      .replace(/^title:\s*(.*)$/m, (_, title: string) => `title: ${quoted(`${title.replace(/^(["'])(.*)\1$/, '$2')} (copy)`)}`),
    'testing',
  );
}

/** The text with `logwarden.state` set in its first document. */
export function with_state(text: string, state: RuleState): string {
  const lines = text.split('\n');
  const end = lines.findIndex((line, index) => index > 0 && line.trimEnd() === '---' && lines.slice(0, index).some((before) => /^\w/.test(before)));
  const last = end < 0 ? lines.length : end;
  const at = lines.slice(0, last).findIndex((line) => /^logwarden:/.test(line));
  if (at < 0) {
    while (lines[lines.length - 1] === '' && end < 0) lines.pop();
    lines.splice(end < 0 ? lines.length : last, 0, 'logwarden:', `  state: ${state}`, ...(end < 0 ? [''] : []));
    return lines.join('\n');
  }
  const flow = /^logwarden:\s*\{(.*)\}\s*$/.exec(lines[at] ?? '');
  if (flow) {
    const rest = (flow[1] ?? '').replace(/(^|,)\s*state:\s*\w+\s*/, '$1').replace(/^\s*,|,\s*$/g, '').trim();
    lines[at] = `logwarden: { state: ${state}${rest ? `, ${rest}` : ''} }`;
    return lines.join('\n');
  }
  const block_end = lines.findIndex((line, index) => index > at && index < last && /^\S/.test(line));
  const block = lines.slice(at + 1, block_end < 0 ? last : block_end);
  const known = block.findIndex((line) => /^\s+state:/.test(line));
  if (known >= 0) lines[at + 1 + known] = (block[known] ?? '').replace(/state:.*/, `state: ${state}`);
  else lines.splice(at + 1, 0, `  state: ${state}`);
  return lines.join('\n');
}

/**
 * The text of a rule that leaves out events with this value; null when it has no condition of its own, as a
 * correlation, whose exceptions belong into the rules that it counts.
 */
export function with_exception(text: string, field: string, value: string): string | null {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => /^detection:\s*$/.test(line));
  const condition = at < 0 ? -1 : lines.findIndex((line, index) => index > at && /^\s+condition:\s*\S/.test(line));
  const match = /^(\s+)condition:\s*(.+)$/.exec(lines[condition] ?? '');
  if (!match) return null;
  const [, indent = '  ', present = ''] = match;
  const taken = new Set(lines.flatMap((line) => /^\s+(known_\d+):/.exec(line)?.[1] ?? []));
  let number = 1;
  while (taken.has(`known_${number}`)) number += 1;
  const name = `known_${number}`;
  const bare = present.replace(/^(["'])(.*)\1$/, '$2');
  lines.splice(condition, 1, `${indent}${name}:`, `${indent}${indent}${field}: ${literal(value)}`, `${indent}condition: (${bare}) and not ${name}`);
  return lines.join('\n');
}
