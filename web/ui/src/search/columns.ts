// What a column of the results shows, and how wide it wants to be.
import { own } from '../shell/own';
import type { FieldValue, Hit } from '../api/types';

/** The value of a column in a hit; our own attributes have names of their own. */
export function cell(hit: Hit, column: string): FieldValue {
  switch (column) {
    case 'timestamp':
    case 'observed_at':
    case 'source':
    case 'dataset':
    case 'severity':
    case 'message':
      return hit[column];
    case 'lw.source':
      return hit.source;
    case 'lw.observed_at':
      return hit.observed_at;
    case 'lw.seq':
      return hit.seq;
    default:
      // A sender's names are any names, also `constructor`.
      return own(hit.fields, column) ?? null;
  }
}

/** The name a query uses for a column. */
export function query_field(column: string): string {
  if (column === 'source' || column === 'observed_at' || column === 'seq') return `lw.${column}`;
  return column;
}

export const OWN_COLUMNS = ['timestamp', 'severity', 'dataset', 'lw.source', 'message', 'lw.observed_at'];

export function column_title(column: string): string {
  if (column === 'timestamp') return 'time';
  return column.startsWith('lw.') ? column.slice(3) : column;
}

const WIDTHS: Record<string, string> = {
  timestamp: '12.625rem',
  'lw.observed_at': '12.625rem',
  severity: '6.5rem',
  dataset: '8.25rem',
  'lw.source': '6.875rem',
  message: 'minmax(18.75rem, 4fr)',
};

/** Widths that somebody chose, in pixels, by column. */
export type Widths = Record<string, number>;
const WIDTH_MIN_PX = 60;
const WIDTH_MAX_PX = 2000;

export const bounded_width = (px: number): number => Math.round(Math.min(WIDTH_MAX_PX, Math.max(WIDTH_MIN_PX, px)));

/** The columns as `grid-template-columns`. */
export function track_list(columns: string[], widths: Widths): string {
  const width = (column: string) => own(widths, column);
  return columns.map((column) => (width(column) ? `${width(column)}px` : (own(WIDTHS, column) ?? 'minmax(8.125rem, 1fr)'))).join(' ');
}

/** The least width of a row, so that many columns scroll sideways inside the box. */
export function least_width(columns: string[], widths: Widths): string {
  const each = columns.map((column) => (own(widths, column) ? `${own(widths, column)}px` : (/[\d.]+rem/.exec(own(WIDTHS, column) ?? '')?.[0] ?? '8.125rem')));
  return `calc(${[...each, '20px'].join(' + ')})`;
}
