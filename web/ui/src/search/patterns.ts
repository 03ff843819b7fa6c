// Log patterns: messages that differ only in their variable parts, mined from the rows that are loaded.
//
// After Drain (He et al., ICWS 2017): messages of the same number of words and the same first words are compared word
// by word; one that agrees in enough of them joins the template, and what differs becomes `<*>`.
// Bounded: at most `PATTERNS_MAX` templates, `WORDS_MAX` words of a message, `ROWS_MAX` rows.
import type { Hit } from '../api/types';

export const PATTERNS_MAX = 500;
export const ROWS_MAX = 10_000;
const WORDS_MAX = 60;
/** Words that must agree, as a share. */
const ALIKE = 0.6;
const ANY = '<*>';
const SPARK_BUCKETS = 24;

export interface Pattern {
  words: string[];
  count: number;
  /** Rows per part of the time that all rows span. */
  spark: number[];
  first_ms: number;
  last_ms: number;
  example: Hit;
}

export interface Mined {
  patterns: Pattern[];
  /** Rows that found no room. */
  left_out: number;
  from_ms: number;
  to_ms: number;
}

/** Words that hold digits, and long runs of hexadecimal, are variable wherever they stand. */
function masked(word: string): string {
  return /\d/.test(word) || /^[0-9a-f-]{12,}$/i.test(word) ? ANY : word;
}

function words_of(message: string): string[] {
  return message.trim().split(/\s+/, WORDS_MAX).map(masked);
}

function likeness(template: string[], words: string[]): number {
  let same = 0;
  for (let at = 0; at < words.length; at += 1) {
    if (template[at] === words[at]) same += 1;
  }
  return words.length === 0 ? 1 : same / words.length;
}

export function mine(hits: Hit[]): Mined {
  const groups = new Map<string, Pattern[]>();
  const rows = hits.slice(0, ROWS_MAX);
  const times = rows.map(({ timestamp }) => Date.parse(timestamp));
  const from_ms = times.reduce((least, ms) => Math.min(least, ms), Infinity);
  const to_ms = times.reduce((most, ms) => Math.max(most, ms), -Infinity);
  const step_ms = Math.max(1, (to_ms - from_ms + 1) / SPARK_BUCKETS);
  let [size, left_out] = [0, 0];
  rows.forEach((hit, index) => {
    const at_ms = times[index] ?? 0;
    const words = words_of(hit.message);
    const key = `${words.length} ${words.find((word) => word !== ANY) ?? ''}`;
    const group = groups.get(key) ?? [];
    let best: Pattern | undefined;
    let best_likeness = ALIKE;
    for (const pattern of group) {
      const now = likeness(pattern.words, words);
      if (now >= best_likeness) [best, best_likeness] = [pattern, now];
    }
    if (!best) {
      if (size >= PATTERNS_MAX) {
        left_out += 1;
        return;
      }
      best = { words, count: 0, spark: Array.from({ length: SPARK_BUCKETS }, () => 0), first_ms: at_ms, last_ms: at_ms, example: hit };
      group.push(best);
      groups.set(key, group);
      size += 1;
    } else best.words = best.words.map((word, at) => (word === words[at] ? word : ANY));
    best.count += 1;
    best.first_ms = Math.min(best.first_ms, at_ms);
    best.last_ms = Math.max(best.last_ms, at_ms);
    const bucket = Math.min(SPARK_BUCKETS - 1, Math.floor((at_ms - from_ms) / step_ms));
    best.spark[bucket] = (best.spark[bucket] ?? 0) + 1;
  });
  const patterns = [...groups.values()].flat().sort((a, b) => b.count - a.count || b.last_ms - a.last_ms);
  return { patterns, left_out, from_ms, to_ms };
}

/** The conditions that find messages of a pattern, all of which must hold: its runs of fixed words, as phrases. */
export function pattern_conditions(pattern: Pattern): string[] {
  const runs: string[][] = [[]];
  for (const word of pattern.words) {
    if (word === ANY) runs.push([]);
    else runs.at(-1)?.push(word);
  }
  const phrases = runs.map((run) => run.join(' ').replace(/[\\"]/g, ' ').trim());
  const distinct = new Set(phrases.filter((phrase) => /[\p{L}\p{N}]/u.test(phrase)));
  return [...distinct].map((phrase) => `message:"${phrase}"`);
}
