// Alerts: the list, one alert, and what a person does with it.
import { request } from './client';
import type { AlertDetail, AlertLatency, AlertPage, Page, Resolution } from './types';

export interface AlertFilter {
  state?: string | undefined;
  severity?: string | undefined;
  rule?: string | undefined;
  entity?: string | undefined;
  assignee?: string | undefined;
  /** Id of an event that proves them. */
  event?: string | undefined;
  sort?: string | undefined;
  q?: string | undefined;
  limit?: number;
  cursor?: string;
}

export function list_alerts(filter: AlertFilter, signal?: AbortSignal): Promise<AlertPage> {
  return request('GET', '/alerts', { query: { ...filter }, ...(signal ? { signal } : {}) });
}

export function get_alert(id: string): Promise<AlertDetail> {
  return request('GET', `/alerts/${encodeURIComponent(id)}`);
}

/** Those that alerts can be given to. */
export const list_assignees = (): Promise<Page<{ name: string }>> => request('GET', '/alerts/assignees');

/** What alerts of the last 24 hours took. */
export const alert_latency = (): Promise<AlertLatency> => request('GET', '/alerts/latency');

function act(id: string, verb: string, body: object): Promise<AlertDetail> {
  return request('POST', `/alerts/${encodeURIComponent(id)}/${verb}`, { body });
}

export const acknowledge = (id: string) => act(id, 'acknowledge', {});
export const assign = (id: string, assignee: string | null) => act(id, 'assign', { assignee });
export const reopen = (id: string) => act(id, 'reopen', {});
export const add_note = (id: string, text: string) => act(id, 'notes', { text });
export const resolve = (id: string, reason: Resolution, note: string) =>
  act(id, 'resolve', { reason, ...(note ? { note } : {}) });
