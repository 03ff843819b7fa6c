// Silences: about which alerts nobody is told, until when and why.
import { request, send } from './client';
import type { AlertItem, Page, SilenceItem } from './types';

export interface SilenceScope {
  rule_id?: string | undefined;
  entity?: string | undefined;
}

export const list_silences = (): Promise<Page<SilenceItem>> => request('GET', '/silences');
export const create_silence = (body: SilenceScope & { reason: string; lasts: string }): Promise<SilenceItem> =>
  request('POST', '/silences', { body });
/** The alerts of the last 24 hours that it would have muted. */
export const preview_silence = (scope: SilenceScope, signal?: AbortSignal): Promise<Page<AlertItem>> =>
  request('POST', '/silences/preview', { body: scope, ...(signal ? { signal } : {}) });
export const end_silence = (id: string): Promise<Response> => send('DELETE', `/silences/${encodeURIComponent(id)}`);
