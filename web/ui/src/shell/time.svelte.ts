// Time zones and ranges: which zone is shown, how an instant reads in it, and what `now-15m` means.
import { prefs } from './prefs.svelte';
import { router } from './router.svelte';

const BROWSER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

function is_zone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** The zone of all times shown: the URL's, else the person's. */
export const zone = {
  get name(): string {
    const wanted = router.get('tz') ?? prefs.zone;
    return wanted !== 'browser' && is_zone(wanted) ? wanted : BROWSER_ZONE;
  },
  /** What is wrong with the URL's `tz`, if anything. */
  get problem(): string | null {
    const wanted = router.get('tz');
    return wanted && wanted !== 'browser' && !is_zone(wanted) ? `tz=${wanted} is no time zone` : null;
  },
  browser: BROWSER_ZONE,
};

interface Parts {
  date: string;
  time: string;
  /** As "+02:00". */
  offset: string;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format_for(name: string): Intl.DateTimeFormat {
  let format = formats.get(name);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      fractionalSecondDigits: 3,
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    });
    formats.set(name, format);
  }
  return format;
}

/** The date, the time with milliseconds and the offset of an instant in the present zone. */
export function parts(ms: number): Parts {
  if (!Number.isFinite(ms)) return { date: '', time: 'no time', offset: '' };
  const by_type = new Map(format_for(zone.name).formatToParts(ms).map((part) => [part.type, part.value]));
  const get = (type: Intl.DateTimeFormatPartTypes) => by_type.get(type) ?? '';
  const offset = get('timeZoneName').replace('GMT', '');
  return {
    date: `${get('year')}-${get('month')}-${get('day')}`,
    time: `${get('hour')}:${get('minute')}:${get('second')}.${get('fractionalSecond')}`,
    offset: offset || '+00:00',
  };
}

/** With offset, as it goes into tooltips and copied text. */
export function full(ms: number): string {
  const { date, time, offset } = parts(ms);
  return `${date} ${time} ${offset}`.trim();
}

/** Date and time to the second. */
export function second(ms: number): string {
  const { date, time } = parts(ms);
  return `${date} ${time.slice(0, 8)}`.trim();
}

/** An instant as short as `span_ms` around it allows: for axes. */
export function tick(ms: number, span_ms: number): string {
  const { date, time } = parts(ms);
  if (span_ms > 2 * 86_400_000) return span_ms > 20 * 86_400_000 ? date : `${date.slice(5)} ${time.slice(0, 5)}`;
  if (span_ms < 10_000) return time.slice(0, 12);
  return span_ms < 600_000 ? time.slice(0, 8) : time.slice(0, 5);
}

export interface Range {
  from: string;
  to: string;
}

export const DEFAULT_RANGE: Range = { from: 'now-15m', to: 'now' };
/** `from` of "All time"; it has no `to`. */
export const ALL_TIME = 'all';

export const PRESETS: [string, string][] = [
  ['now-5m', 'Last 5 minutes'],
  ['now-15m', 'Last 15 minutes'],
  ['now-1h', 'Last hour'],
  ['now-4h', 'Last 4 hours'],
  ['now-24h', 'Last 24 hours'],
  ['now-7d', 'Last 7 days'],
  ['now-30d', 'Last 30 days'],
  [ALL_TIME, 'All time'],
];

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds of `now`, `now-15m` or RFC 3339; null when it is neither. */
export function instant_ms(text: string, now_ms: number): number | null {
  const relative = /^now(?:([+-])(\d{1,6})([smhdw]))?$/.exec(text);
  if (relative) {
    const [, sign, amount, unit] = relative;
    return now_ms + (sign === '-' ? -1 : 1) * Number(amount ?? 0) * (UNIT_MS[unit ?? 's'] ?? 0);
  }
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/i.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

export function is_relative(range: Range): boolean {
  return range.from === ALL_TIME || range.from.startsWith('now') || range.to.startsWith('now');
}

/** The range in words. */
const UNITS: Record<string, string> = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week' };

export function range_label(range: Range): string {
  const preset = PRESETS.find(([from]) => from === range.from && (range.to === 'now' || from === ALL_TIME));
  if (preset) return preset[1];
  const ago = /^now-(\d+)([smhdw])$/.exec(range.from);
  if (ago && range.to === 'now') return `Last ${ago[1] === '1' ? '' : `${ago[1]} `}${UNITS[ago[2] ?? '']}${ago[1] === '1' ? '' : 's'}`;
  if (is_relative(range)) return `${range.from} to ${range.to}`;
  const [from, to] = [parts(Date.parse(range.from)), parts(Date.parse(range.to))];
  const trim = (time: string) => time.replace(/(:00)?\.000$/, '');
  const end = from.date === to.date ? trim(to.time) : `${to.date} ${trim(to.time)}`;
  return `${from.date} ${trim(from.time)} – ${end}`;
}

/** Reads "2026-11-22 12:14:09.551" (seconds and date parts may be left out at the end) in the present zone. */
export function local_ms(text: string, now_ms: number): number | null {
  const direct = instant_ms(text.trim(), now_ms);
  if (direct !== null) return direct;
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?)?$/.exec(text.trim());
  if (!match) return null;
  const as_utc = Date.parse(`${match[1]}T${match[2] ?? '00:00'}${match[3] ?? ':00'}Z`);
  if (Number.isNaN(as_utc)) return null;
  // The offset depends on the instant we look for; the second round settles it near a change of clocks.
  let ms = as_utc;
  for (let round = 0; round < 2; round += 1) ms = as_utc - offset_ms(ms);
  return ms;
}

function offset_ms(ms: number): number {
  const match = /^([+-])(\d\d):(\d\d)/.exec(parts(ms).offset);
  if (!match) return 0;
  return (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3])) * 60_000;
}

/** RFC 3339 UTC with milliseconds. */
export function utc(ms: number): string {
  return new Date(ms).toISOString();
}
