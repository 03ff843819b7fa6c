// Drafts of rules: from a search, from an alert, and with another state.
import { before_pipes, split, type Clause } from '../search/query';

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

/** One condition of a search as an item of a Sigma selection; null when it has no counterpart. */
function item_of(clause: Clause): Item | null {
  if (clause.field && clause.values) return { key: clause.field, values: clause.values.map(literal) };
  const text = clause.text.replace(/^(NOT\s+|-)/, '');
  const match = /^([\p{L}\p{N}_@.-]+):(.+)$/su.exec(text);
  if (!match) {
    const word = text.replace(/^"(.*)"$/s, '$1');
    return /[()|]/.test(word) ? null : { key: '', values: [quoted(word)] };
  }
  const [, field = '', rest = ''] = match;
  if (rest === '*') return { key: `${field}|exists`, values: ['true'] };
  const regex = /^~"(.*)"$/s.exec(rest);
  if (regex) return { key: `${field}|re`, values: [quoted((regex[1] ?? '').replace(/\\"/g, '"'))] };
  const compared = /^(>=|<=|>|<)(.+)$/.exec(rest);
  if (compared) {
    const names: Record<string, string> = { '>=': 'gte', '<=': 'lte', '>': 'gt', '<': 'lt' };
    return { key: `${field}|${names[compared[1] ?? ''] ?? 'gte'}`, values: [number_or_text(compared[2] ?? '')] };
  }
  if (/^\d+\.\d+\.\d+\.\d+\/\d+$|^[0-9a-f:]+\/\d+$/i.test(rest)) return { key: `${field}|cidr`, values: [quoted(rest)] };
  if (/^[^()[\]"]+$/.test(rest)) return { key: field, values: [quoted(rest)] };
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

/** A rule that looks for what a search found; what has no counterpart in Sigma stands in a comment. */
export function draft_from_query(query: string): string {
  const core = before_pipes(query);
  const { clauses, is_mixed } = split(core);
  const left: string[] = is_mixed ? [core] : [];
  const lines: string[] = [];
  const condition: string[] = [];
  const usable = is_mixed ? [] : clauses.filter(({ text }) => text !== '*');
  const wanted: Item[] = [];
  const words: Item[] = [];
  usable.forEach((clause) => {
    const item = item_of(clause);
    if (!item) left.push(clause.text);
    else if (clause.is_negated) {
      const name = `not_${condition.filter((part) => part.startsWith('not ')).length + 1}`;
      lines.push(...selection(name, [item]));
      condition.push(`not ${name}`);
    } else if (item.key === '') words.push(item);
    else wanted.push(item);
  });
  words.forEach((item, index) => {
    lines.unshift(...selection(`words_${index + 1}`, [item]));
    condition.unshift(`words_${index + 1}`);
  });
  if (wanted.length > 0 || condition.every((part) => part.startsWith('not '))) {
    lines.unshift(...(wanted.length > 0 ? selection('wanted', wanted) : ['  wanted:', "    message|exists: true"]));
    condition.unshift('wanted');
  }
  return [
    `title: New rule`,
    `id: ${new_id()}`,
    `description: ${quoted(core ? `From the search ${core}` : 'What it looks for, in words')}`,
    `level: medium`,
    `logsource: {}`,
    `detection:`,
    ...left.map((text) => `  # not carried over: ${text.replace(/[\r\n]+/g, ' ')}`),
    ...lines,
    `  condition: ${condition.join(' and ')}`,
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
