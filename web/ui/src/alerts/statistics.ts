// The alerts of the last week, over time.
import { list_alerts } from '../api/alerts';
import type { AlertItem, Level } from '../api/types';

export const DAY_MS = 86_400_000;
const DAYS = 7;
const PAGE = 1000;
/** More are not read; what was counted is then said to be a part. */
const READ_MAX = 5000;
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
