// Session, own settings, set-up, health, rules and users.
import { request, send } from './client';
import type { Challenge, Health, Page, Principal, RuleItem, SignedChallenge } from './types';

export function who_am_i(): Promise<Principal> {
  return request('GET', '/session', { no_renewal: true });
}

/** `code`: of the second factor, for those who have one. */
export function sign_in(name: string, password: string, code?: string): Promise<Principal> {
  return request('POST', '/session', { body: { name, password, ...(code ? { code } : {}) }, no_renewal: true });
}

export const open_challenge = (): Promise<Challenge> =>
  request('POST', '/session/challenge', { body: {}, no_renewal: true });
export const sign_in_with_passkey = (signed: SignedChallenge): Promise<Principal> =>
  request('POST', '/session/passkey', { body: signed, no_renewal: true });

export const list_providers = (): Promise<Page<{ name: string }>> => request('GET', '/oidc', { no_renewal: true });

/** Where a browser signs in at a provider and comes back from to `next`. */
export const provider_href = (name: string, next: string): string =>
  `/api/v1/oidc/${encodeURIComponent(name)}/begin?next=${encodeURIComponent(next)}`;

export async function sign_out(): Promise<void> {
  await send('DELETE', '/session', { no_renewal: true });
}

export const get_settings = (): Promise<Record<string, unknown>> => request('GET', '/me/settings', { no_renewal: true });
export const put_settings = (settings: object): Promise<unknown> => request('PUT', '/me/settings', { body: settings, keepalive: true });

export function setup_needed(): Promise<{ needed: boolean }> {
  return request('GET', '/setup', { no_renewal: true });
}

/** Makes the first administrator and signs them in. */
export async function set_up(code: string, name: string, password: string): Promise<void> {
  await send('POST', '/setup', { body: { code, name, password }, no_renewal: true });
}

/** The state of the server; a 503 is an answer here, not a failure. */
export async function health(): Promise<Health> {
  const answer = await fetch('/api/v1/health');
  return (await answer.json()) as Health;
}

/** Every rule, page after page. */
export async function all_rules(): Promise<RuleItem[]> {
  const items: RuleItem[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<RuleItem> = await request('GET', '/rules', { query: { cursor } });
    items.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return items;
}

export function list_users(): Promise<Page<{ name: string; role: string }>> {
  return request('GET', '/users');
}
