// Notifiers, routes, rotas and deliveries: who is told about what.
import { request, send } from './client';
import type { Level, NotifierSettings, RotaItem, RotaList, RouteItem, RouteList, RouteVerdict } from './types';

const named = (path: string, name: string) => `${path}/${encodeURIComponent(name)}`;

/** From the top; the first that matches takes an alert. */
export const list_routes = (): Promise<RouteList> => request('GET', '/routes');
export const put_routes = (items: RouteItem[], version: number): Promise<RouteList> =>
  request('PUT', '/routes', { body: { items }, if_match: version });
export const ask_routes = (body: { rule: string | null; severity: Level; at: string | null }, signal?: AbortSignal): Promise<RouteVerdict> =>
  request('POST', '/routes/ask', { body, ...(signal ? { signal } : {}) });

export const list_rotas = (): Promise<RotaList> => request('GET', '/rotas');
export const put_rotas = (items: RotaItem[], version: number): Promise<RotaList> =>
  request('PUT', '/rotas', { body: { items }, if_match: version });

export interface VersionedNotifier {
  settings: NotifierSettings;
  version: number;
}
export async function get_notifier(id: string): Promise<VersionedNotifier> {
  const answer = await send('GET', named('/notifiers', id));
  const version = Number(answer.headers.get('etag')?.replaceAll('"', ''));
  return { settings: (await answer.json()) as NotifierSettings, version };
}
export const create_notifier = (body: NotifierSettings): Promise<NotifierSettings> => request('POST', '/notifiers', { body });
export const replace_notifier = (body: NotifierSettings, version: number): Promise<NotifierSettings> =>
  request('PUT', named('/notifiers', body.name), { body, if_match: version });
export const remove_notifier = (id: string, version: number): Promise<Response> =>
  send('DELETE', named('/notifiers', id), { if_match: version });

export const send_again = (id: string): Promise<Response> => send('POST', `${named('/deliveries', id)}/send`);
