// The text of a rule as a form shows it. Parts are read from the YAML and written back in their place; everything else
// of the text stays as it is.
import { isMap, isScalar, isSeq, parseAllDocuments, YAMLMap, YAMLSeq, type Document, type Pair } from 'yaml';

type Path = (string | number)[];
export type FormValue = string | number | boolean | null;

/** One line of a selection: a field, how it is compared, and the values of which one is enough. */
export interface Condition {
  field: string;
  /** Sigma's modifiers, such as `contains` or `startswith|cased`; empty: is. */
  test: string;
  values: string[];
}

/** What an event must be; null: the YAML says it in a way that is not drawn. */
export interface Selection {
  name: string;
  conditions: Condition[] | null;
}

/** What a rule looks for, as far as the form draws it. */
export type Looks =
  /** Selections and how they go together; `path` is where they stand. */
  | { kind: 'selections'; path: Path; selections: Selection[]; condition: string }
  | { kind: 'query'; path: Path; query: string }
  | { kind: 'yaml'; what: string };

export interface Threshold {
  count: number;
  window: string;
  group_by: string[];
  distinct: string;
}

export interface Form {
  title: string;
  description: string;
  level: string;
  looks: Looks;
  /** Null: every event is a detection, or the YAML says when. */
  threshold: Threshold | null;
  /** Whether it can be chosen between every event and a threshold. */
  has_choice: boolean;
  entity: string;
  alert_title: string;
  what_to_do: string;
  runbook: string;
  /** Rules after this one in the same text. */
  others: number;
}

/** The first rule of a text, or what keeps it from being read. */
export function read_form(text: string): Form | { problem: string } {
  const documents = parseAllDocuments(text);
  const first = 'empty' in documents ? undefined : documents[0];
  if (!first || !isMap(first.contents)) return { problem: 'there is no rule in the text' };
  const error = first.errors[0];
  if (error) return { problem: error.message.split('\n')[0] ?? 'the text is no YAML' };
  const words = (...path: Path) => written(first.getIn(path));
  const is_threshold = words('detector', 'type') === 'threshold';
  const selections = is_threshold ? ['detector', 'input'] : [];
  return {
    title: words('title'),
    description: words('description'),
    level: words('level'),
    looks: looks_of(first, selections),
    threshold: is_threshold
      ? {
          count: Number(first.getIn(['detector', 'count']) ?? 1),
          window: words('detector', 'window'),
          group_by: list(first.getIn(['detector', 'group-by'], true)),
          distinct: words('detector', 'distinct'),
        }
      : null,
    has_choice: first.hasIn([...selections, 'detection']),
    entity: words('logwarden', 'entity'),
    alert_title: words('logwarden', 'title'),
    what_to_do: words('logwarden', 'what_to_do'),
    runbook: words('logwarden', 'runbook'),
    others: documents.length - 1,
  };
}

function written(value: unknown): string {
  return value === null || value === undefined || typeof value === 'object' ? '' : String(value);
}

function list(node: unknown): string[] {
  if (isSeq(node)) return node.items.map((item) => written(isScalar(item) ? item.value : item));
  return isScalar(node) && node.value !== null ? [written(node.value)] : [];
}

function looks_of(rule: Document.Parsed, at: Path): Looks {
  const query = rule.getIn([...at, 'query']);
  if (typeof query === 'string') return { kind: 'query', path: [...at, 'query'], query };
  const path = [...at, 'detection'];
  const detection = rule.getIn(path, true);
  if (!isMap(detection)) {
    const type = written(rule.getIn(['correlation', 'type']) ?? rule.getIn(['detector', 'type']));
    return { kind: 'yaml', what: type || 'other rules' };
  }
  const selections = detection.items
    .map(({ key }) => written(isScalar(key) ? key.value : key))
    .filter((name) => name !== 'condition')
    .map((name) => ({ name, conditions: conditions_of(detection.get(name, true)) }));
  return { kind: 'selections', path, selections, condition: written(detection.get('condition')) };
}

function conditions_of(node: unknown): Condition[] | null {
  if (!isMap(node)) return null;
  const conditions = node.items.map(({ key, value }) => {
    const [field = '', ...tests] = written(isScalar(key) ? key.value : key).split('|');
    const is_plain = isSeq(value) ? value.items.every(is_line) : is_line(value);
    return is_plain && field ? { field, test: tests.join('|'), values: list(value) } : null;
  });
  return conditions.every((one) => one !== null) ? conditions : null;
}

/** A value that fits one line of a form. */
function is_line(node: unknown): boolean {
  return isScalar(node) && node.value !== null && !String(node.value).includes('\n');
}

/** How a text is written again: lines stay as long as they are, lists as far in as they were. */
function print(rule: Document.Parsed, text: string): string {
  const is_flat = /^( *)[^\s#-][^\n]*:[ ]*\n\1- /m.test(text);
  return rule.toString({ lineWidth: 0, indentSeq: !is_flat }) + text.slice(rule.range[2]);
}

function changed(text: string, change: (rule: Document.Parsed) => void): string {
  const documents = parseAllDocuments(text);
  const first = 'empty' in documents ? undefined : documents[0];
  if (!first) return text;
  change(first);
  return print(first, text);
}

/** The text with another value at `path`; null and an empty text take it out. */
export function with_value(text: string, path: Path, value: FormValue | string[]): string {
  const is_out = value === null || value === '' || (Array.isArray(value) && value.length === 0);
  return changed(text, (rule) => {
    if (is_out) {
      if (rule.hasIn(path)) rule.deleteIn(path);
      return;
    }
    for (let length = 1; length < path.length; length += 1) {
      const above = path.slice(0, length);
      if (rule.getIn(above) === undefined || rule.getIn(above) === null) rule.setIn(above, rule.createNode({}));
    }
    if (Array.isArray(value)) rule.setIn(path, rule.createNode(value, { flow: true }));
    else rule.setIn(path, value);
  });
}

/**
 * The text with other conditions in the selection at `path`; what stays the same is written as it was. Null when two of
 * them compare the same field in the same way, which a selection cannot say.
 */
export function with_conditions(text: string, path: Path, conditions: Condition[]): string | null {
  const keys = conditions.map(({ field, test }) => (test ? `${field}|${test}` : field));
  if (new Set(keys).size < keys.length) return null;
  return changed(text, (rule) => {
    const selection = rule.getIn(path, true);
    const map = isMap(selection) ? selection : new YAMLMap();
    const before = new Map(map.items.map((pair) => [written(isScalar(pair.key) ? pair.key.value : pair.key), pair]));
    map.items = conditions.map(({ values }, at) => pair_of(rule, keys[at] ?? '', values, before.get(keys[at] ?? '')));
    if (map !== selection) rule.setIn(path, map);
  });
}

/** A condition as an item of a selection; `before` is how the same one is written now. */
function pair_of(rule: Document.Parsed, key: string, values: string[], before: Pair | undefined): Pair {
  const now = before ? list(before.value) : [];
  if (before && now.length === values.length && values.every((value, at) => value === now[at])) return before;
  const known = isSeq(before?.value) ? before.value.items : [before?.value];
  const nodes = values.map((value) => known.find((node) => isScalar(node) && written(node.value) === value) ?? rule.createNode(typed_value(value)));
  const pair = before ?? rule.createPair(key, null);
  if (nodes.length === 1) pair.value = nodes[0];
  else {
    const several = isSeq(pair.value) ? pair.value : new YAMLSeq();
    several.items = nodes;
    pair.value = several;
  }
  return pair;
}

/** What YAML would read a plain word as, so that `500` stays a number. */
function typed_value(text: string): FormValue {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d/.test(text) && String(Number(text)) === text ? Number(text) : text;
}

/** The text as a rule that fires for every event that matches, or when there are many. */
export function with_threshold(text: string, is_threshold: boolean): string {
  return changed(text, (rule) => {
    const from: Path = is_threshold ? [] : ['detector', 'input'];
    const parts = ['logsource', 'detection'].map((name) => [name, rule.getIn([...from, name], true)] as const);
    for (const [name] of parts) rule.deleteIn([...from, name]);
    if (is_threshold) {
      rule.setIn(['detector'], rule.createNode({ type: 'threshold', input: {}, window: '5m', count: 10 }));
      for (const [name, part] of parts) rule.setIn(['detector', 'input', name], part ?? rule.createNode({}));
    } else {
      rule.deleteIn(['detector']);
      for (const [name, part] of parts) rule.setIn([name], part ?? rule.createNode({}));
    }
  });
}
