// Everything that reads events: search, histogram, facets, fields, one event, its neighbours, tail, export.
import { ApiError, path_with, request, send, type Query } from './client';
import { server_events } from './sse';
import type {
  ApiErrorBody,
  ContextAnswer,
  EventDetail,
  FacetsAnswer,
  FieldInfo,
  FieldValue,
  Hit,
  HistogramAnswer,
  Page,
  QueryProblem,
  SearchAnswer,
  Splits,
} from './types';

/** A query with its time range; `from` and `to` are left out for all time. */
export interface Scope {
  q: string;
  from?: string | undefined;
  to?: string | undefined;
}

export interface SearchRequest extends Scope {
  limit?: number;
  sort?: string;
  cursor?: string;
}

export type SearchStep =
  | { kind: 'hits'; hits: Hit[] }
  | { kind: 'progress'; splits: Splits; total: number }
  | { kind: 'done'; answer: SearchAnswer };

function scope_query(scope: Scope): Query {
  return { q: scope.q.trim() === '' ? '*' : scope.q, from: scope.from, to: scope.to };
}

/** What is wrong with a query, without running it; null when nothing is. */
export async function check_query(q: string): Promise<QueryProblem | null> {
  const answer: { problem: QueryProblem | null } = await request('GET', '/search/check', { query: { q } });
  return answer.problem;
}

export function search(wanted: SearchRequest, signal?: AbortSignal): Promise<SearchAnswer> {
  return request('GET', '/search', {
    query: { ...scope_query(wanted), limit: wanted.limit, sort: wanted.sort, cursor: wanted.cursor },
    ...(signal ? { signal } : {}),
  });
}

/** Runs a search and yields what arrives while it is still running; the last step is `done`. */
export async function* search_stream(wanted: SearchRequest, signal: AbortSignal): AsyncGenerator<SearchStep> {
  const answer = await send('GET', '/search', {
    query: { ...scope_query(wanted), limit: wanted.limit, sort: wanted.sort },
    accept: 'text/event-stream',
    signal,
  });
  if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) {
    yield { kind: 'done', answer: (await answer.json()) as SearchAnswer };
    return;
  }
  for await (const { event, data } of server_events(answer)) {
    const json: unknown = JSON.parse(data);
    if (event === 'hits') yield { kind: 'hits', hits: (json as { hits: Hit[] }).hits };
    else if (event === 'progress') yield { kind: 'progress', ...(json as { splits: Splits; total: number }) };
    else if (event === 'error') throw new ApiError(200, (json as { error: ApiErrorBody }).error);
    else if (event === 'done') {
      yield { kind: 'done', answer: json as SearchAnswer };
      return;
    }
  }
  throw new ApiError(0, { code: 'cut_off', message: 'the connection ended before the search was done' });
}

export function histogram(
  scope: Scope,
  buckets: number,
  by: string | null,
  signal?: AbortSignal,
): Promise<HistogramAnswer> {
  return request('GET', '/histogram', {
    query: { ...scope_query(scope), buckets, by },
    ...(signal ? { signal } : {}),
  });
}

export function facets(scope: Scope, fields: string[], signal?: AbortSignal, limit = 10): Promise<FacetsAnswer> {
  return request('GET', '/facets', {
    query: { ...scope_query(scope), fields: fields.join(','), limit },
    ...(signal ? { signal } : {}),
  });
}

export function fields(prefix = ''): Promise<Page<FieldInfo>> {
  return request('GET', '/fields', { query: { prefix } });
}

export function field_values(
  name: string,
  prefix: string,
  scope: Scope,
  limit?: number,
): Promise<Page<{ value: FieldValue; count: number }>> {
  return request('GET', `/fields/${encodeURIComponent(name)}/values`, {
    query: { prefix, from: scope.from, to: scope.to, limit },
  });
}

export function event(id: string, signal?: AbortSignal): Promise<EventDetail> {
  return request('GET', `/events/${encodeURIComponent(id)}`, signal ? { signal } : {});
}

export function context(id: string, before: number, after: number, by: string): Promise<ContextAnswer> {
  return request('GET', `/events/${encodeURIComponent(id)}/context`, { query: { before, after, by } });
}

/** Opens the live tail of a query. */
export function tail(q: string): EventSource {
  return new EventSource(path_with('/tail', { q: q.trim() === '' ? '*' : q }));
}

export type ExportFormat = 'ndjson' | 'csv';

/** What to export: of CSV the columns, of NDJSON every field. */
export function export_body(scope: Scope, format: ExportFormat, columns: string[]) {
  const { q, from, to } = scope_query(scope);
  return { q, from, to, format, ...(format === 'csv' ? { fields: columns } : {}) };
}

/** Starts an export of everything that matches; the body of the answer is the file. */
export function export_events(
  scope: Scope,
  format: ExportFormat,
  columns: string[],
  signal: AbortSignal,
): Promise<Response> {
  const body = export_body(scope, format, columns);
  return send('POST', '/export', { body, signal, accept: format === 'csv' ? 'text/csv' : 'application/x-ndjson' });
}
