// One search and its three answers: rows, histogram and facets. Each has its own progress and its own error;
// all three are given up together.
import { as_api_error, is_abort, type ApiError } from '../api/client';
import { connection } from '../api/connection.svelte';
import * as api from '../api/search';
import type { Scope } from '../api/search';
import type { Facet, Hit, HistogramAnswer, SearchAnswer, Splits } from '../api/types';
import { ALL_TIME, instant_ms, utc, type Range } from '../shell/time.svelte';
import { before_pipes, wanted_values, without_field } from './query';

export const LOADED_MAX = 10_000;
const PAGE_HITS = 500;

export interface Wanted {
  q: string;
  range: Range;
  sort: string;
  group: string;
  facets: string[];
}

/** The search before, of which rows are still shown. */
export interface Earlier {
  q: string;
  total: number;
  /** It asked for the same; only its answer is older. */
  is_same: boolean;
}

export class SearchRun {
  state = $state<'idle' | 'running' | 'done' | 'cancelled' | 'failed'>('idle');
  hits = $state.raw<Hit[]>([]);
  /** Rows and groups are of this search and not of the present one, until its first rows arrive. */
  earlier = $state.raw<Earlier | null>(null);
  total = $state(0);
  is_complete = $state(false);
  took_ms = $state(0);
  splits = $state.raw<Splits>({ read: 0, of: 0 });
  error = $state.raw<ApiError | null>(null);
  /** The server went away: what is shown is of the answer before, which came then. */
  is_of_ms = $state<number | null>(null);
  /** Columns and rows of a query that aggregates. */
  groups = $state.raw<Pick<SearchAnswer, 'columns' | 'rows'> | null>(null);
  is_loading_more = $state(false);
  /** When a search finds nothing: the newest event that would match at any time. */
  last_match = $state.raw<Hit | null>(null);
  /** Where there is none either: the newest event of all. */
  last_event = $state.raw<Hit | null>(null);
  /** How far it is known when something last matched. */
  further = $state<'idle' | 'running' | 'done' | 'failed'>('idle');

  histogram = $state.raw<HistogramAnswer | null>(null);
  histogram_state = $state<'idle' | 'running' | 'done' | 'failed'>('idle');
  histogram_error = $state.raw<ApiError | null>(null);

  facets = $state.raw<Facet[]>([]);
  facets_state = $state<'idle' | 'running' | 'done' | 'failed'>('idle');
  facets_error = $state.raw<ApiError | null>(null);
  facets_complete = $state(true);
  /** The facets are of the search before. */
  facets_earlier = $state(false);

  /** The range that was really asked for, in UTC; left out for all time. */
  scope = $state.raw<Scope>({ q: '' });
  span = $state.raw<{ from_ms: number; to_ms: number } | null>(null);

  #next: string | null = null;
  #wanted: Wanted | null = null;
  /** Whose rows are shown, and how many events it found. */
  #shown: { wanted: Wanted; total: number } | null = null;
  #answered_ms = 0;
  #abort = new AbortController();

  start(wanted: Wanted) {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#wanted = wanted;
    const now_ms = whole_second();
    if (wanted.range.from === ALL_TIME) {
      this.scope = { q: wanted.q };
      this.span = null;
    } else {
      const from_ms = instant_ms(wanted.range.from, now_ms) ?? now_ms;
      const to_ms = instant_ms(wanted.range.to, now_ms) ?? now_ms;
      this.scope = { q: wanted.q, from: utc(from_ms), to: utc(to_ms) };
      this.span = { from_ms, to_ms };
    }
    const { signal } = this.#abort;
    this.facets_earlier = this.facets.length > 0;
    this.#rows(wanted, this.scope, signal);
    this.refresh_histogram(wanted.group);
    this.refresh_facets(wanted.facets);
  }

  /** Whether one of the answers was not given because the server was away. */
  failed_away(): boolean {
    const away = (error: ApiError | null) => error?.status === 0;
    return away(this.error) || away(this.histogram_error) || away(this.facets_error);
  }

  /** Stops all three answers here and on the server; what has arrived stays. */
  cancel() {
    this.#abort.abort();
    if (this.state === 'running') this.state = 'cancelled';
    if (this.histogram_state === 'running') this.histogram_state = 'idle';
    if (this.facets_state === 'running') this.facets_state = 'idle';
  }

  stop() {
    this.#abort.abort();
  }

  async #rows(wanted: Wanted, scope: Scope, signal: AbortSignal) {
    const { total, is_complete, took_ms, splits } = this;
    const next = this.#next;
    const is_answered = this.state === 'done' || this.is_of_ms !== null;
    const shown = this.hits.length > 0 || this.groups ? this.#shown : null;
    if (shown && !this.earlier) shown.total = total;
    this.earlier = shown && { q: shown.wanted.q, total: shown.total, is_same: is_same_search(shown.wanted, wanted) };
    this.state = 'running';
    this.is_of_ms = null;
    this.error = null;
    this.last_match = null;
    this.last_event = null;
    this.further = 'idle';
    this.total = 0;
    this.is_complete = false;
    this.splits = { read: 0, of: 0 };
    this.#next = null;
    try {
      for await (const step of api.search_stream({ ...scope, limit: PAGE_HITS, sort: wanted.sort }, signal)) {
        if (signal.aborted) return;
        if (step.kind === 'hits') {
          this.#show(step.hits);
        } else if (step.kind === 'progress') {
          this.splits = step.splits;
          this.total = step.total;
        } else {
          this.#done(step.answer);
        }
      }
    } catch (cause) {
      if (signal.aborted || is_abort(cause)) return;
      this.error = as_api_error(cause);
      this.state = 'failed';
      const is_kept = this.error.status === 0 && is_answered && (shown !== null || total === 0);
      if (is_kept) {
        // Nobody knows better: what was read before stays with its numbers, and says of when it is.
        this.is_of_ms = this.#answered_ms;
        if (this.earlier && !this.earlier.is_same) return;
        Object.assign(this, { total, is_complete, took_ms, splits });
        this.#next = next;
        this.earlier = null;
      } else if (this.earlier) this.#show([]);
    }
  }

  #show(hits: Hit[]) {
    this.hits = each_once(hits);
    this.earlier = null;
    this.#shown = this.#wanted && { wanted: this.#wanted, total: 0 };
    this.groups = null;
  }

  #done(answer: SearchAnswer) {
    this.#show(answer.hits ?? []);
    this.groups = answer.columns ? { columns: answer.columns, rows: answer.rows ?? [] } : null;
    this.total = answer.total;
    this.is_complete = answer.complete;
    this.took_ms = answer.took_ms;
    this.splits = answer.splits;
    this.#next = answer.next;
    this.#answered_ms = Date.now();
    this.state = 'done';
    if (answer.total === 0 && !answer.columns) this.#look_further();
  }

  async #look_further() {
    const { signal } = this.#abort;
    this.further = 'running';
    try {
      const newest = async (q: string) => (await api.search({ q, limit: 1 }, signal)).hits?.[0] ?? null;
      const match = await newest(before_pipes(this.scope.q));
      const event = match ?? (await newest('*'));
      if (signal.aborted) return;
      this.last_match = match;
      this.last_event = event;
      this.further = 'done';
    } catch {
      // The page says that nothing matches; when something last did is only a help.
      if (!signal.aborted) this.further = 'failed';
    }
  }

  get may_load_more(): boolean {
    return this.state === 'done' && this.#next !== null && this.hits.length < LOADED_MAX;
  }

  async load_more() {
    if (!this.may_load_more || this.is_loading_more || !this.#wanted) return;
    const { signal } = this.#abort;
    this.is_loading_more = true;
    try {
      const limit = Math.min(2 * PAGE_HITS, LOADED_MAX - this.hits.length);
      const answer = await api.search(
        { ...this.scope, limit, sort: this.#wanted.sort, cursor: this.#next ?? '' },
        signal,
      );
      if (signal.aborted) return;
      this.hits = each_once([...this.hits, ...(answer.hits ?? [])]);
      this.#next = answer.next;
    } catch (cause) {
      if (!signal.aborted) this.error = as_api_error(cause);
    } finally {
      this.is_loading_more = false;
    }
  }

  /** Newest hits of a live tail go to the top. */
  prepend(hits: Hit[]) {
    // Rows of another search are not what these belong to.
    if (this.earlier) this.#show([]);
    const known = new Set(this.hits.slice(0, 1000).map(({ id }) => id));
    const fresh = hits.filter(({ id }) => !known.has(id));
    if (fresh.length === 0) return;
    this.hits = [...fresh.reverse(), ...this.hits].slice(0, LOADED_MAX);
    this.total += fresh.length;
    this.last_match = null;
  }

  /** A live tail that samples leaves some out; they match all the same. */
  pass_over(count: number) {
    this.total += count;
  }

  /** Moves the range of a live view on to now, and counts what is in it. */
  move_on(range: Range, group: string, facets: string[]) {
    const now_ms = whole_second();
    const from_ms = instant_ms(range.from, now_ms);
    if (from_ms === null) return;
    this.scope = { ...this.scope, from: utc(from_ms), to: utc(now_ms) };
    this.span = { from_ms, to_ms: now_ms };
    this.refresh_histogram(group, true).then(() => {
      if (this.histogram_state === 'done' && this.histogram?.complete) this.total = this.histogram.total;
    });
    this.refresh_facets(facets);
  }

  async refresh_histogram(group: string, keep = false) {
    const { signal } = this.#abort;
    const before = this.histogram;
    this.histogram_state = 'running';
    this.histogram_error = null;
    if (!keep) this.histogram = null;
    try {
      const scope = await this.#bounded(signal);
      if (!scope) {
        // It was read, and there is nothing: hatched would be what was not.
        if (!signal.aborted) this.histogram = { buckets: [], interval_ms: 0, complete: true, total: 0 };
        this.histogram_state = 'done';
        return;
      }
      const span_ms = Date.parse(scope.to ?? '') - Date.parse(scope.from ?? '');
      const answer = await api.histogram(scope, bucket_count(span_ms), group || null, signal);
      if (signal.aborted) return;
      this.histogram = answer;
      this.histogram_state = 'done';
    } catch (cause) {
      if (signal.aborted || is_abort(cause)) return;
      this.histogram_error = as_api_error(cause);
      this.histogram_state = 'failed';
      if (this.histogram_error.status === 0) this.histogram = before;
    }
  }

  /** The scope with both ends; for all time they are those of the oldest and the newest match. */
  async #bounded(signal: AbortSignal): Promise<Scope | null> {
    const q = before_pipes(this.scope.q);
    if (this.scope.from) return { ...this.scope, q };
    const [oldest, newest] = await Promise.all(
      ['timestamp', '-timestamp'].map((sort) => api.search({ q, limit: 1, sort }, signal)),
    );
    const [first, last] = [oldest?.hits?.[0], newest?.hits?.[0]];
    if (!first || !last || signal.aborted) return null;
    const [from_ms, to_ms] = [Date.parse(first.timestamp), Date.parse(last.timestamp) + 1000];
    this.span = { from_ms, to_ms };
    return { q, from: utc(from_ms), to: utc(to_ms) };
  }

  async refresh_facets(names: string[]) {
    const { signal } = this.#abort;
    if (names.length === 0) return;
    this.facets_state = 'running';
    this.facets_error = null;
    const q = before_pipes(this.scope.q);
    // A field that is filtered is counted without its own filter, so that its other values can be added.
    const filtered = names.filter((name) => wanted_values(q, name).length > 0);
    const others = names.filter((name) => !filtered.includes(name));
    const requests = filtered.map((name) => api.facets({ ...this.scope, q: without_field(q, name) }, [name], signal));
    if (others.length > 0) requests.push(api.facets({ ...this.scope, q }, others, signal));
    try {
      const answers = await Promise.all(requests);
      if (signal.aborted) return;
      const by_name = new Map(answers.flatMap(({ fields }) => fields.map((facet) => [facet.name, facet])));
      this.facets = names.flatMap((name) => by_name.get(name) ?? []);
      this.facets_complete = answers.every(({ complete }) => complete);
      this.facets_earlier = false;
      this.facets_state = 'done';
    } catch (cause) {
      if (signal.aborted || is_abort(cause)) return;
      this.facets_error = as_api_error(cause);
      this.facets_state = 'failed';
    }
  }
}

/** Whether two searches ask for the same events in the same order. */
function is_same_search(one: Wanted, other: Wanted): boolean {
  const key = ({ q, range, sort }: Wanted) => JSON.stringify([q, range.from, range.to, sort]);
  return key(one) === key(other);
}

/** Pages may overlap when events arrive between them. */
function each_once(hits: Hit[]): Hit[] {
  const seen = new Set<string>();
  return hits.filter(({ id }) => !seen.has(id) && seen.add(id));
}

/** The end of the present second: what has just arrived is before it, and bars get round lengths. */
function whole_second(): number {
  return Math.floor(connection.now_ms() / 1000) * 1000 + 1000;
}

const NICE_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** How many bars: 40 to 100, so that each is a round span of time where the range allows it. */
export function bucket_count(span_ms: number): number {
  const span_s = Math.round(span_ms / 1000);
  for (const size_s of NICE_S) {
    const count = span_s / size_s;
    if (count <= 100 && count >= 40) return Math.ceil(count);
  }
  return 60;
}
