// Routes as a form holds them: lists as texts with commas, nothing as an empty text.
import type { Level, RouteItem } from '../api/types';

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

export interface RouteDraft {
  name: string;
  severity_min: string;
  rules: string;
  labels: string;
  has_hours: boolean;
  zone: string;
  days: string[];
  from: string;
  to: string;
  inherits: boolean;
  notify: string[];
  group_by: string;
  group_wait_secs: string;
  digest_mins: string;
  per_hour_max: string;
  escalate: { after_mins: string; notify: string }[];
}

export const words = (text: string) => text.split(',').map((word) => word.trim()).filter(Boolean);
const number = (text: string) => (text.trim() === '' ? null : Number(text));

export function draft_of(route: RouteItem | null, is_inner: boolean): RouteDraft {
  return {
    name: route?.name ?? '',
    severity_min: route?.severity_min ?? '',
    rules: (route?.rules ?? []).join(', '),
    labels: Object.entries(route?.labels ?? {}).map(([name, value]) => `${name}=${value}`).join(', '),
    has_hours: Boolean(route?.hours),
    zone: route?.hours?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    days: [...(route?.hours?.days ?? [])],
    from: route?.hours?.from ?? '08:00',
    to: route?.hours?.to ?? '18:00',
    inherits: route ? route.notify === null : is_inner,
    notify: [...(route?.notify ?? [])],
    group_by: (route?.group_by ?? []).join(', '),
    group_wait_secs: route?.group_wait_secs?.toString() ?? '',
    digest_mins: route?.digest_mins?.toString() ?? '',
    per_hour_max: route?.per_hour_max?.toString() ?? '',
    escalate: (route?.escalate ?? []).map(({ after_mins, notify }) => ({ after_mins: String(after_mins), notify: notify.join(', ') })),
  };
}

export function route_of(draft: RouteDraft, routes: RouteItem[]): RouteItem {
  const labels = words(draft.labels).map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return at < 0 ? [pair, '*'] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  });
  const group_by = words(draft.group_by);
  return {
    name: draft.name.trim() || null,
    severity_min: (draft.severity_min || null) as Level | null,
    rules: words(draft.rules),
    labels: Object.fromEntries(labels),
    hours: draft.has_hours ? { zone: draft.zone.trim(), days: draft.days, from: draft.from, to: draft.to } : null,
    notify: draft.inherits ? null : draft.notify,
    group_by: group_by.length > 0 ? group_by : null,
    group_wait_secs: number(draft.group_wait_secs),
    digest_mins: number(draft.digest_mins),
    per_hour_max: number(draft.per_hour_max),
    escalate:
      draft.escalate.length > 0
        ? draft.escalate.map(({ after_mins, notify }) => ({ after_mins: Number(after_mins), notify: words(notify) }))
        : null,
    routes,
  };
}

/** Nothing is worse than critical. */
export const and_worse = (level: string) => (level === 'critical' ? level : `${level} and worse`);

/** What a route says, in one line. */
export function described(route: RouteItem): string {
  const parts = [
    route.severity_min ? and_worse(route.severity_min) : 'every severity',
    route.rules.length > 0 ? `rules ${route.rules.join(', ')}` : 'every rule',
    ...Object.entries(route.labels).map(([name, value]) => `${name}=${value}`),
  ];
  if (route.hours) {
    const days = (route.hours.days ?? []).length > 0 ? (route.hours.days ?? []).join(' ') : 'every day';
    parts.push(`${days} ${route.hours.from}–${route.hours.to} ${route.hours.zone}`);
  }
  return parts.join(', ');
}

export function consequences(route: RouteItem): string[] {
  const said: string[] = [];
  if (route.digest_mins) said.push(`digest every ${route.digest_mins} min`);
  if (route.per_hour_max) said.push(`at most ${route.per_hour_max} alerts an hour, then a digest`);
  if (route.group_by) said.push(`one message per ${route.group_by.join(', ')}, after ${route.group_wait_secs ?? 30} s`);
  for (const { after_mins, notify } of route.escalate ?? []) said.push(`after ${after_mins} min unacknowledged: ${notify.join(', ')}`);
  return said;
}
