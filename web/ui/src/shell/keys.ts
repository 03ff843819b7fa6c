// Keyboard shortcuts: single keys and `g x` pairs, never while typing, never under a dialog.
import { prefs } from './prefs.svelte';

export type KeyMap = Record<string, (event: KeyboardEvent) => void>;

const PAIR_MS = 1200;
const maps: KeyMap[] = [];
let first: { key: string; at_ms: number } | null = null;

/** Adds shortcuts until the returned function is called; later maps win. */
export function bind_keys(map: KeyMap): () => void {
  maps.push(map);
  return () => {
    const index = maps.indexOf(map);
    if (index >= 0) maps.splice(index, 1);
  };
}

/** `target` is the first of the event's composed path: also inside a shadow root, as the rule editor's. */
function is_typing(target: EventTarget | undefined): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) {
    return true;
  }
  return target instanceof HTMLInputElement && !['checkbox', 'radio', 'button'].includes(target.type);
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (is_typing(event.composedPath()[0]) || document.querySelector('dialog:modal')) return;
  if (event.key !== 'Escape' && !prefs.keys) return;
  const pair = first && event.timeStamp - first.at_ms < PAIR_MS ? `${first.key} ${event.key}` : null;
  first = null;
  for (const name of pair ? [pair] : [event.key]) {
    for (let index = maps.length - 1; index >= 0; index -= 1) {
      const action = maps[index]?.[name];
      if (!action) continue;
      event.preventDefault();
      action(event);
      return;
    }
  }
  if (event.key === 'g') first = { key: 'g', at_ms: event.timeStamp };
});

/** What the help lists, in its order. */
export const SHORTCUTS: [string, string][] = [
  ['?', 'Show this list'],
  ['/', 'Go to the query'],
  ['t', 'Choose the time range'],
  ['l', 'Live tail on or off'],
  ['j / k', 'Next / previous event or alert'],
  ['Enter', 'Open it'],
  ['f / o', 'Filter for / out the focused field'],
  ['c', 'Events around the open event'],
  ['x', 'Select the alert'],
  ['a', 'Acknowledge'],
  ['i', 'Assign to me'],
  ['r', 'Resolve'],
  ['s', 'Silence'],
  ['g o', 'Go to Overview'],
  ['g s', 'Go to Search'],
  ['g a', 'Go to Alerts'],
  ['g r', 'Go to Rules'],
  ['g n', 'Go to Notifications'],
  ['g e', 'Go to Entities'],
  ['Escape', 'Close the topmost thing'],
];
