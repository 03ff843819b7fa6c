// The search that the URL describes, checked: what is broken is named and falls back.
import { own } from '../shell/own';
import { router } from '../shell/router.svelte';
import { bounded_width, type Widths } from './columns';
import { ALL_TIME, DEFAULT_RANGE, instant_ms, type Range } from '../shell/time.svelte';

export const DEFAULT_COLUMNS = ['timestamp', 'severity', 'dataset', 'user.name', 'source.ip', 'message'];
const VIEWS = ['table', 'json', 'patterns'] as const;
export type ResultView = (typeof VIEWS)[number];

export interface SearchParams {
  q: string;
  range: Range;
  columns: string[];
  widths: Widths;
  sort: string;
  view: ResultView;
  group: string;
  is_live: boolean;
  /** Id of the event in the panel. */
  event: string | null;
  problems: string[];
}

/** The names in a `cols` parameter, each once; what follows a `~` is a width. */
export function column_list(text: string | null): string[] {
  return [...new Set((text ?? '').split(',').map((part) => part.replace(/~\d+$/, '')).filter(Boolean))];
}

/** The widths in a `cols` parameter. */
function column_widths(text: string | null): Widths {
  const pairs = [...(text ?? '').matchAll(/([^,]+)~(\d{1,4})(?=,|$)/g)];
  return Object.fromEntries(pairs.map(([, name = '', width]) => [name, bounded_width(Number(width))]));
}

/** A `cols` parameter of these columns, in this order. */
export function columns_text(columns: string[], widths: Widths): string {
  return columns.map((name) => (own(widths, name) ? `${name}~${own(widths, name)}` : name)).join(',');
}

/** Whether a field can be called so: a name of ours, of ECS or of a sender's record. */
function is_field(name: string): boolean {
  return /^[\p{L}\p{N}_@$#][\p{L}\p{N}_@$#./: +-]*$/u.test(name);
}

export function search_params(): SearchParams {
  const problems: string[] = [];
  const get = (name: string) => router.get(name);

  const range = { from: get('from') ?? DEFAULT_RANGE.from, to: get('to') ?? DEFAULT_RANGE.to };
  for (const name of ['from', 'to'] as const) {
    if (name === 'from' && range.from === ALL_TIME) continue;
    if (instant_ms(range[name], 0) !== null) continue;
    problems.push(`${name}=${range[name]} is no time; ${DEFAULT_RANGE[name]} is used`);
    range[name] = DEFAULT_RANGE[name];
  }
  if (range.from !== ALL_TIME && (instant_ms(range.from, 0) ?? 0) >= (instant_ms(range.to, 0) ?? 0)) {
    const is_mixed = range.from.startsWith('now') !== range.to.startsWith('now');
    if (!is_mixed) {
      problems.push('the time range ends before it starts; the default is used');
      Object.assign(range, DEFAULT_RANGE);
    }
  }

  const view = get('view') ?? 'table';
  if (!VIEWS.includes(view as ResultView)) problems.push(`view=${view} is unknown; the table is shown`);
  const sort = get('sort') ?? '-timestamp';
  const is_sort = is_field(sort.replace(/^-/, ''));
  if (!is_sort) problems.push(`sort=${sort} is no field; newest first is used`);

  const asked = column_list(get('cols'));
  const columns = asked.filter(is_field);
  const no_columns = asked.filter((name) => !is_field(name));
  if (no_columns.length > 0) problems.push(`cols=${no_columns.join(',')}: no field is called so`);
  else if (get('cols') && asked.length === 0) problems.push(`cols=${get('cols')} names no field; the usual columns are shown`);
  const group = get('group') ?? '';
  if (group && !is_field(group)) problems.push(`group=${group}: no field is called so`);
  return {
    q: get('q') ?? '',
    range,
    columns: columns.length > 0 ? columns : DEFAULT_COLUMNS,
    widths: column_widths(get('cols')),
    sort: is_sort ? sort : '-timestamp',
    view: VIEWS.includes(view as ResultView) ? (view as ResultView) : 'table',
    group: is_field(group) ? group : '',
    is_live: get('live') === '1',
    event: get('event'),
    problems,
  };
}

/** A link to a search. */
export function search_href(q: string, range: { from: string; to?: string } = DEFAULT_RANGE): string {
  const params = new URLSearchParams({ q, from: range.from });
  if (range.to && range.to !== 'now') params.set('to', range.to);
  return `/search?${params}`;
}
