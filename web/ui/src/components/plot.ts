// What a plot of bars over time shows.

export interface Bar {
  at_ms: number;
  count: number;
  /** Stacked parts, from the bottom, the same series in every bar; together `count`. */
  parts?: { count: number; series: number }[];
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
  /** Not everything was read: hatched. */
  unread?: boolean;
}

/** What lies around the bars; a pointer is placed by them. */
export const MARGIN_PX = { left: 46, right: 6, top: 10, bottom: 20 };
