// Scripts that are loaded when a page needs them, and what is done when they do not come.

/**
 * Whether the server has other scripts than those that run here: it was updated, and the old ones are gone.
 * Rejects when it does not answer.
 */
async function is_updated(): Promise<boolean> {
  const answer = await fetch('/', { cache: 'no-store' });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const page = await answer.text();
  const own = document.querySelector('script[type="module"][src]')?.getAttribute('src');
  return own !== null && own !== undefined && !page.includes(own);
}

/** So soon after one reload there is no other by itself: it would not help a second time either. */
const RELOADS_APART_MS = 20_000;

function has_just_reloaded(): boolean {
  const [navigation] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  return navigation?.type === 'reload' && performance.now() < RELOADS_APART_MS;
}

/** Loads a script; where an update of the server has taken it away, the whole page is loaded again. */
export async function load_script<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if (!has_just_reloaded() && (await is_updated().catch(() => false))) {
      location.reload();
      return new Promise(() => {});
    }
    throw cause;
  }
}

/** Tries again what did not come: a browser remembers a script that failed, so the page is loaded anew. */
export async function load_again(): Promise<void> {
  await is_updated();
  location.reload();
}
