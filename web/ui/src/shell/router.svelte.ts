// The URL is the view: reads it, writes it, and follows links without loading the page again.

export type Params = Record<string, string | null | undefined>;

class Router {
  url = $state.raw(new URL(location.href));

  /** What minds that another page is shown, as one with unsaved text: it is given what goes there, to call it or not. */
  keeper: ((leave: () => void) => void) | null = null;

  constructor() {
    addEventListener('popstate', () => this.#popped());
    addEventListener('hashchange', () => (this.url = new URL(location.href)));
    document.addEventListener('click', (event) => this.#follow(event));
  }

  get path(): string {
    return this.url.pathname;
  }

  /** Goes to `href`; `replace` for what nobody would undo with Back. */
  go(href: string, options: { replace?: boolean; state?: unknown } = {}) {
    // What replaces a page is no step of a person.
    if (!options.replace && this.#is_kept(new URL(href, location.href), () => this.go(href, options))) return;
    if (options.replace) history.replaceState(options.state ?? null, '', href);
    else history.pushState(options.state ?? null, '', href);
    this.url = new URL(location.href);
  }

  /** The address of the present path with some parameters changed; null or '' removes one. */
  with(changes: Params): string {
    const params = new URLSearchParams(this.url.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === '') params.delete(name);
      else params.set(name, value);
    }
    const text = params.toString();
    return this.url.pathname + (text ? `?${text}` : '');
  }

  set(changes: Params, options: { replace?: boolean } = {}) {
    const href = this.with(changes);
    if (href !== this.url.pathname + this.url.search) this.go(href, options);
  }

  get(name: string): string | null {
    return this.url.searchParams.get(name);
  }

  /** Back and Forward have changed the address already; whoever keeps the page gets its own again. */
  #popped() {
    const target = new URL(location.href);
    const { state } = history;
    if (this.#is_kept(target, () => this.go(target.href, { state }))) history.pushState(null, '', this.url.href);
    else this.url = target;
  }

  #is_kept(target: URL, leave: () => void): boolean {
    const { keeper } = this;
    if (!keeper || target.pathname === this.url.pathname) return false;
    keeper(() => {
      this.keeper = null;
      leave();
    });
    return true;
  }

  #follow(event: MouseEvent) {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute('download')) return;
    const target = new URL(link.href);
    if (target.origin !== location.origin || link.getAttribute('href')?.startsWith('#')) return;
    event.preventDefault();
    this.go(target.pathname + target.search + target.hash);
  }
}

export const router = new Router();

/** True when `href` stays on this server: a path, and not `//host`. */
export function is_own_path(href: unknown): href is string {
  return typeof href === 'string' && /^\/(?![/\\])/.test(href);
}
