// The one place that talks HTTP: adds the base path, turns failures into `ApiError`, renews an expired session.
import { connection } from './connection.svelte';
import type { ApiErrorBody } from './types';

const BASE = '/api/v1';

export type Query = Record<string, string | number | null | undefined>;

/** What went wrong, in words for a person, with the request id when the server gave one. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly request_id: string | null;
  readonly position: number | null;
  readonly expected: string[];

  constructor(status: number, body: Partial<ApiErrorBody>) {
    super(body.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = body.code ?? 'unknown';
    this.request_id = body.request_id ?? null;
    this.position = body.position ?? null;
    this.expected = body.expected ?? [];
  }
}

let renew: (() => Promise<boolean>) | null = null;

/** Sets what happens when a session has expired: resolves to true once the person has signed in again. */
export function on_unauthorized(handler: () => Promise<boolean>) {
  renew = handler;
}

export function path_with(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') params.set(name, String(value));
  }
  const text = params.toString();
  return BASE + path + (text ? `?${text}` : '');
}

export interface Options {
  query?: Query;
  body?: unknown;
  /** A body in YAML instead. */
  yaml?: string;
  signal?: AbortSignal;
  accept?: string;
  /** It is sent to its end also when the page goes away meanwhile. */
  keepalive?: boolean;
  /** The version that was read, so that nobody's change is overwritten. */
  if_match?: number;
  /** Leave a 401 to the caller instead of asking to sign in again. */
  no_renewal?: boolean;
}

/** Sends one request and returns the answer when it is a success. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const init: RequestInit = { method, headers: { Accept: options.accept ?? 'application/json' } };
  if (options.signal) init.signal = options.signal;
  if (options.keepalive) init.keepalive = true;
  // What changes something says what it sends, also when that is nothing: no form of another site can.
  const is_bare = method === 'POST' && options.yaml === undefined;
  if (options.body !== undefined || is_bare) {
    init.body = JSON.stringify(options.body ?? {});
    init.headers = { ...init.headers, 'Content-Type': 'application/json' };
  }
  if (options.yaml !== undefined) {
    init.body = options.yaml;
    init.headers = { ...init.headers, 'Content-Type': 'application/yaml' };
  }
  if (options.if_match !== undefined) init.headers = { ...init.headers, 'If-Match': `"${options.if_match}"` };
  let answer: Response;
  try {
    answer = await fetch(path_with(path, options.query), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    connection.fail();
    throw new ApiError(0, { code: 'unreachable', message: 'the server cannot be reached' });
  }
  connection.ok(answer.headers.get('date'));
  if (answer.ok) return answer;
  if (answer.status === 401 && renew && !options.no_renewal && (await renew())) {
    return send(method, path, { ...options, no_renewal: true });
  }
  throw new ApiError(answer.status, await error_body(answer));
}

async function error_body(answer: Response): Promise<Partial<ApiErrorBody>> {
  const header_id = answer.headers.get('x-request-id');
  const fallback = header_id ? { request_id: header_id } : {};
  try {
    const json = (await answer.json()) as { error?: Partial<ApiErrorBody> };
    return { ...fallback, ...json.error };
  } catch {
    return fallback;
  }
}

/** Sends one request and returns its JSON. */
export async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const answer = await send(method, path, options);
  if (answer.status === 204) return undefined as T;
  return (await answer.json()) as T;
}

/** True for the error of a request that we ourselves gave up. */
export function is_abort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export function as_api_error(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, { code: 'client', message: error instanceof Error ? error.message : String(error) });
}
