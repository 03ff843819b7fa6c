// Saved searches and dashboards.
import { request, send } from './client';
import type { Page, SavedItem } from './types';

export type SavedKind = 'saved-searches' | 'dashboards';

export interface NewSaved<C> {
  name: string;
  shared: boolean;
  content: C;
}

const one = (kind: SavedKind, id: string) => `/${kind}/${encodeURIComponent(id)}`;

export const list_saved = <C>(kind: SavedKind): Promise<Page<SavedItem<C>>> => request('GET', `/${kind}`);
export const get_saved = <C>(kind: SavedKind, id: string): Promise<SavedItem<C>> => request('GET', one(kind, id));
export const create_saved = <C>(kind: SavedKind, body: NewSaved<C>): Promise<SavedItem<C>> => request('POST', `/${kind}`, { body });
export const change_saved = <C>(kind: SavedKind, id: string, body: NewSaved<C>): Promise<SavedItem<C>> =>
  request('PUT', one(kind, id), { body });
export const remove_saved = (kind: SavedKind, id: string): Promise<Response> => send('DELETE', one(kind, id));

/** A search as its address has it, without what is only looked at. */
export interface SearchContent {
  params: string;
}
