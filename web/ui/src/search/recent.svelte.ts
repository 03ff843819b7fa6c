// What was asked lately: queries and ranges, newest first. Kept while the page is open and nowhere else: a query may
// hold what no browser should store.
import type { Range } from '../shell/time.svelte';

const QUERIES_MAX = 20;
const RANGES_MAX = 5;

class Recent {
  queries = $state.raw<string[]>([]);
  ranges = $state.raw<Range[]>([]);

  note(query: string, range: Range) {
    const q = query.trim();
    if (q) this.queries = [q, ...this.queries.filter((other) => other !== q)].slice(0, QUERIES_MAX);
    const others = this.ranges.filter(({ from, to }) => from !== range.from || to !== range.to);
    this.ranges = [range, ...others].slice(0, RANGES_MAX);
  }
}

export const recent = new Recent();
