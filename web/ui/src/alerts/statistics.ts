// What the alerts of the last days say about the rules that opened them.
import { list_alerts } from '../api/alerts';
import type { AlertItem, Level } from '../api/types';

export const DAY_MS = 86_400_000;
const DAYS = 7;
const PAGE = 1000;
/** More are not read; what was counted is then said to be a part. */
const READ_MAX = 5000;
/** A rule that opens more alerts a day is noisy, */
const NOISY_PER_DAY = 24;
/** and so is one with so large a share of false ones among at least so many resolved. */
const FALSE_SHARE = 0.5;
const RESOLVED_MIN = 10;

export interface RuleStatistics {
  fires: number;
  /** Share of resolved alerts that were false; null when none was resolved. */
  false_share: number | null;
  last_ms: number | null;
  is_noisy: boolean;
  /** Groups that cause the most, with their counts. */
  groups: [string, number][];
}

export interface WeekOfAlerts {
  alerts: AlertItem[];
  from_ms: number;
  /** Not all could be read. */
  is_part: boolean;
}

/** The alerts that were opened in the last seven days, newest first. */
export async function week_of_alerts(now_ms: number): Promise<WeekOfAlerts> {
  const from_ms = now_ms - DAYS * DAY_MS;
  const alerts: AlertItem[] = [];
  let cursor: string | undefined;
  do {
    const page = await list_alerts({ limit: PAGE, ...(cursor ? { cursor } : {}) });
    const fresh = page.items.filter(({ opened_at }) => Date.parse(opened_at) >= from_ms);
    alerts.push(...fresh);
    cursor = fresh.length === page.items.length ? (page.next ?? undefined) : undefined;
  } while (cursor && alerts.length < READ_MAX);
  return { alerts, from_ms, is_part: cursor !== undefined };
}

export function by_rule({ alerts }: WeekOfAlerts): Map<string, RuleStatistics> {
  const found = new Map<string, RuleStatistics>();
  const grouped = new Map<string, AlertItem[]>();
  for (const alert of alerts) grouped.set(alert.rule.id, [...(grouped.get(alert.rule.id) ?? []), alert]);
  for (const [id, those] of grouped) {
    const resolved = those.filter(({ state }) => state === 'resolved');
    const wrong = resolved.filter(({ resolution }) => resolution === 'false_positive').length;
    const counts = new Map<string, number>();
    for (const { entity } of those) counts.set(entity?.value ?? 'no entity', (counts.get(entity?.value ?? 'no entity') ?? 0) + 1);
    const is_false = resolved.length >= RESOLVED_MIN && wrong / resolved.length > FALSE_SHARE;
    found.set(id, {
      fires: those.length,
      false_share: resolved.length > 0 ? wrong / resolved.length : null,
      last_ms: Math.max(...those.map(({ opened_at }) => Date.parse(opened_at))),
      is_noisy: is_false || those.length / DAYS > NOISY_PER_DAY,
      groups: [...counts].sort((a, b) => b[1] - a[1]).slice(0, 3),
    });
  }
  return found;
}

/** Alerts per part of the week and level, for a stacked plot. */
export function over_time({ alerts, from_ms }: WeekOfAlerts, levels: Level[]): { interval_ms: number; bars: { at_ms: number; counts: number[] }[] } {
  const interval_ms = DAY_MS / 4;
  const bars = Array.from({ length: DAYS * 4 }, (_, at) => ({ at_ms: from_ms + at * interval_ms, counts: levels.map(() => 0) }));
  for (const { opened_at, severity } of alerts) {
    const bar = bars[Math.min(bars.length - 1, Math.floor((Date.parse(opened_at) - from_ms) / interval_ms))];
    const level = levels.indexOf(severity);
    if (bar && level >= 0) bar.counts[level] = (bar.counts[level] ?? 0) + 1;
  }
  return { interval_ms, bars };
}
