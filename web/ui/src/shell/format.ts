// Numbers, spans and sizes as a person reads them.

/** 1204331 as "1 204 331", with narrow no-break spaces. */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US').replaceAll(',', '\u202f');
}

/** "1 event", "1 204 331 events". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${grouped(value)} ${value === 1 ? one : many}`;
}

const SPANS: [number, string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
];

/** A span of time with its largest unit: "312 ms", "1.4 s", "15 min", "2 h", "3 d". */
export function span(ms: number): string {
  const size = Math.abs(ms);
  if (size < 1000) return `${Math.round(ms)} ms`;
  for (const [unit_ms, name] of SPANS) {
    if (size < unit_ms) continue;
    const amount = ms / unit_ms;
    const digits = Math.abs(amount) < 10 ? 10 : 1;
    return `${Math.round(amount * digits) / digits} ${name}`;
  }
  return `${ms} ms`;
}

/** How long ago, as "now", "13 min ago", "3 h ago". */
export function ago(then_ms: number, now_ms: number): string {
  const past_ms = now_ms - then_ms;
  if (past_ms < -5000) return `in ${span(-past_ms)}`;
  if (past_ms < 5000) return 'now';
  for (const [unit_ms, name] of SPANS) {
    if (past_ms >= unit_ms) return `${Math.floor(past_ms / unit_ms)} ${name} ago`;
  }
  return 'now';
}

export function bytes(size: number): string {
  let amount = size;
  for (const unit of ['B', 'kB', 'MB', 'GB', 'TB']) {
    if (amount < 1000 || unit === 'TB') return `${amount < 10 && unit !== 'B' ? amount.toFixed(1) : Math.round(amount)} ${unit}`;
    amount /= 1000;
  }
  return `${size} B`;
}

/** "true_positive" as "true positive". */
export function words(identifier: string): string {
  return identifier.replaceAll('_', ' ');
}

/** A round number at or above `value`, for the top of a scale. */
export function round_up(value: number): number {
  if (value <= 5) return 5;
  const magnitude = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 2.5, 5, 10]) {
    if (step * magnitude >= value) return step * magnitude;
  }
  return value;
}

/** A rate as "2 310/s", "6.4/s", "0.5/min", "2.5/h". */
export function per_second(rate: number): string {
  if (rate === 0) return '0/s';
  if (rate * 60 < 0.1) return rate * 3600 < 0.1 ? 'below 0.1/h' : `${Number((rate * 3600).toPrecision(2))}/h`;
  if (rate < 0.1) return `${Number((rate * 60).toPrecision(2))}/min`;
  return rate < 10 ? `${rate.toFixed(1)}/s` : `${grouped(rate)}/s`;
}
