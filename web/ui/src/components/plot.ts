// What a plot of bars over time shows.
import { in_px } from '../shell/narrow.svelte';

export interface Bar {
  at_ms: number;
  count: number;
  /** Stacked parts, from the bottom, the same colours in every bar, named as in `tokens.css`; together `count`. */
  parts?: { count: number; colour: string }[];
  /** Not all of it was read: hatched. */
  unread?: boolean;
}

/** An instant to mark above the bars, and what explains it. */
export interface Mark {
  at_ms: number;
  href: string;
  title: string;
}

export interface Plot {
  bars: Bar[];
  interval_ms: number;
  height: number;
  threshold?: number | null;
  cursor?: number | null;
  selection?: [number, number] | null;
  marks?: Mark[];
  /** Nothing of it was read: hatched as a whole. */
  unread?: boolean;
}

/** What lies around the bars, as large as text needs it; a pointer is placed by them. */
export const MARGIN_PX = { left: in_px(2.875), right: 6, top: 10, bottom: in_px(1.25) };
