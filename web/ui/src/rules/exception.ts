// An exception in a rule that looks at others, such as a correlation: it belongs into the rules that it counts, of
// which the draft has copies of its own, so that nothing else changes.
import { isMap, isSeq, parseDocument, type Document } from 'yaml';
import { new_id, with_exception } from './draft';

/** Rules below each other that are followed. */
const DEPTH_MAX = 8;

export interface Exception {
  text: string;
  /** The names of the rules that it was drafted into. */
  changed: string[];
}

interface Draft {
  field: string;
  value: string;
  /** The text a rule stands in, by its id or name. */
  read: (rule: string) => Promise<string>;
  /** What each rule is called in the draft; one that several look at is copied once. */
  copies: Map<string, string>;
  added: string[];
  changed: string[];
}

const documents = (text: string) => text.split(/^---[ \t]*\n/m).filter((part) => part.trim() !== '');
const text_at = (doc: Document, path: string[]) => String(doc.getIn(path) ?? '');
const is_called = (doc: Document, rule: string) => text_at(doc, ['id']) === rule || text_at(doc, ['name']) === rule;

/** Where a rule names the rules that it looks at. */
function list_of(doc: Document): string[] | null {
  const paths = [['correlation', 'rules'], ['detector', 'input', 'rules']];
  return paths.find((path) => isSeq(doc.getIn(path))) ?? null;
}

/** The rule with the exception in its own condition, where it has one. */
function direct(text: string, { field, value }: Draft): string | null {
  const changed = with_exception(text, field, value);
  if (changed !== null) return changed;
  const doc = parseDocument(text);
  const path = ['detector', 'input', 'query'];
  const query = text_at(doc, path);
  if (query === '') return null;
  doc.setIn(path, `(${query}) AND NOT ${field}:"${value.replace(/[\\"]/g, '\\$&')}"`);
  return String(doc);
}

/** A rule's text with the exception in it, or in copies of those that it looks at; null: it has no place for one. */
async function changed_text(text: string, draft: Draft, depth: number): Promise<string | null> {
  const own = direct(text, draft);
  const doc = parseDocument(text);
  if (own !== null) {
    draft.changed.push(text_at(doc, ['title']));
    return own;
  }
  const path = list_of(doc);
  const list = path && doc.getIn(path);
  if (!path || !isSeq(list) || depth >= DEPTH_MAX) return null;
  let has_changed = false;
  for (let at = 0; at < list.items.length; at += 1) {
    const rule = text_at(doc, [...path, String(at)]);
    const copy = draft.copies.get(rule) ?? (await copied(rule, draft, depth + 1));
    if (copy === null) continue;
    has_changed = true;
    doc.setIn([...path, at], copy);
    rename_aliases(doc, rule, copy);
  }
  return has_changed ? String(doc) : null;
}

/** A field that a group calls otherwise says of each rule what it is there. */
function rename_aliases(doc: Document, rule: string, copy: string) {
  const aliases = doc.getIn(['correlation', 'aliases']);
  if (!isMap(aliases)) return;
  for (const { value } of aliases.items) {
    if (!isMap(value) || !value.has(rule)) continue;
    value.set(copy, value.get(rule));
    value.delete(rule);
  }
}

/** Adds a copy of a rule with the exception in it; answers its id. */
async function copied(rule: string, draft: Draft, depth: number): Promise<string | null> {
  const all = documents(await draft.read(rule));
  const text = all.find((part) => is_called(parseDocument(part), rule)) ?? all[0] ?? '';
  const changed = await changed_text(text, draft, depth);
  if (changed === null) return null;
  const doc = parseDocument(changed);
  const id = new_id();
  const title = text_at(doc, ['title']);
  doc.set('id', id);
  doc.delete('name');
  doc.set('title', `${title} (with an exception)`);
  draft.copies.set(rule, id);
  draft.added.push(String(doc));
  return id;
}

/** `text` with an exception for `value` in the rules that its first rule looks at; null: there is no place for one. */
export async function exception_below(
  text: string,
  field: string,
  value: string,
  read: (rule: string) => Promise<string>,
): Promise<Exception | null> {
  const [first = '', ...others] = documents(text);
  const draft: Draft = { field, value, read, copies: new Map(), added: [], changed: [] };
  const changed = await changed_text(first, draft, 0);
  if (changed === null) return null;
  const all = [changed, ...others, ...draft.added].map((part) => (part.endsWith('\n') ? part : `${part}\n`));
  return { text: all.join('---\n'), changed: [...new Set(draft.changed)] };
}
