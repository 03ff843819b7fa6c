// Sources, notifications and administration: everything that is not an event or an alert.
import { request, send } from './client';
import type {
  AuditPage,
  CreatedToken,
  Delivery,
  MadePasskey,
  NewPasskeyChallenge,
  NotifierItem,
  Page,
  Passkey,
  Policy,
  Retention,
  RoleItem,
  SessionItem,
  SourceItem,
  TokenItem,
  UserItem,
} from './types';

const named = (path: string, name: string) => `${path}/${encodeURIComponent(name)}`;

export const list_sources = (): Promise<Page<SourceItem>> => request('GET', '/sources');
export const get_source = (name: string, signal?: AbortSignal): Promise<SourceItem> =>
  request('GET', named('/sources', name), signal ? { signal } : {});

export const list_notifiers = (): Promise<Page<NotifierItem>> => request('GET', '/notifiers');
export const test_notifier = (id: string): Promise<{ ok: boolean; answer: string; text: string }> =>
  request('POST', `${named('/notifiers', id)}/test`, { body: {} });
/** What a test says, before it is sent. */
export const test_text = (id: string): Promise<{ text: string }> => request('GET', `${named('/notifiers', id)}/test`);

export interface DeliveryFilter {
  state?: string | undefined;
  alert_id?: string | undefined;
  limit?: number;
  cursor?: string | undefined;
}
export const list_deliveries = (filter: DeliveryFilter): Promise<Page<Delivery>> =>
  request('GET', '/deliveries', { query: { ...filter } });

export const list_tokens = (): Promise<Page<TokenItem>> => request('GET', '/tokens');
export interface NewToken {
  name: string;
  role: string;
  source?: string | undefined;
  filter?: string | undefined;
  expires?: string | undefined;
}
export const create_token = (body: NewToken): Promise<CreatedToken> => request('POST', '/tokens', { body });
export const revoke_token = (name: string): Promise<Response> => send('DELETE', named('/tokens', name));

export const list_roles = (): Promise<Page<RoleItem>> => request('GET', '/roles');

export const list_users = (): Promise<Page<UserItem>> => request('GET', '/users');
export const create_user = (body: { name: string; role: string; password: string }): Promise<UserItem> =>
  request('POST', '/users', { body });
export const change_user = (name: string, body: { role?: string; password?: string }): Promise<UserItem> =>
  request('PUT', named('/users', name), { body });
export const remove_user = (name: string): Promise<Response> => send('DELETE', named('/users', name));

export const get_retention = (): Promise<Retention> => request('GET', '/retention');
export const put_retention = (policies: Policy[], dry_run: boolean): Promise<Retention> =>
  request('PUT', '/retention', { query: { dry_run: dry_run ? 'true' : null }, body: { policies } });
export const confirm_retention = (): Promise<Retention> => request('POST', '/retention/confirm', { body: {} });

export interface AuditFilter {
  q?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  limit?: number;
  cursor?: string | undefined;
}
export const list_audit = (filter: AuditFilter): Promise<AuditPage> =>
  request('GET', '/audit', { query: { ...filter } });

export const acknowledge_damage = (): Promise<unknown> => request('POST', '/health/acknowledge-damage', { body: {} });

export const list_sessions = (user: string): Promise<Page<SessionItem>> =>
  request('GET', '/sessions', { query: { user } });
export const end_session = (id: string): Promise<Response> => send('DELETE', named('/sessions', id));
export const change_password = (current: string, password: string): Promise<Response> =>
  send('PUT', '/me/password', { body: { current, password }, no_renewal: true });

export const list_passkeys = (): Promise<Page<Passkey>> => request('GET', '/me/passkeys');
export const begin_passkey = (): Promise<NewPasskeyChallenge> => request('POST', '/me/passkeys/challenge', { body: {} });
export const add_passkey = (body: MadePasskey): Promise<Page<Passkey>> => request('POST', '/me/passkeys', { body });
export const remove_passkey = (id: string): Promise<Response> => send('DELETE', named('/me/passkeys', id));

export interface NewSecondFactor {
  secret: string;
  /** For apps that take a link. */
  url: string;
}
export const second_factor = (): Promise<{ enabled: boolean }> => request('GET', '/me/second-factor');
export const begin_second_factor = (): Promise<NewSecondFactor> => request('POST', '/me/second-factor', { body: {} });
export const set_second_factor = (secret: string, code: string, current: string): Promise<unknown> =>
  request('PUT', '/me/second-factor', { body: { secret, code, current } });
export const remove_second_factor = (current: string): Promise<unknown> =>
  request('DELETE', '/me/second-factor', { body: { current } });
export const take_second_factor = (name: string): Promise<Response> =>
  send('DELETE', `${named('/users', name)}/second-factor`);
