// What a person likes to have: kept on the server, and in the browser under their name so that the first paint is
// right. Never holds a secret or a query.
import { get_settings, put_settings } from '../api/system';

export type Theme = 'system' | 'light' | 'dark';

interface Stored {
  /** `browser` or an IANA zone. */
  zone: string;
  theme: Theme;
  /** Single-key shortcuts are on. */
  keys: boolean;
  /** Fields shown as facets. */
  facets: string[];
}

/** Several changes in a row are sent once. */
const SEND_AFTER_MS = 600;

const DEFAULTS: Stored = {
  zone: 'browser',
  theme: 'system',
  keys: true,
  facets: ['severity', 'dataset', 'source.ip', 'user.name', 'host.name', 'event.outcome'],
};

/** Only what is what it should be. */
function checked(kept: unknown): Partial<Stored> {
  const { zone, theme, keys, facets } = (kept ?? {}) as Record<string, unknown>;
  return {
    ...(typeof zone === 'string' ? { zone } : {}),
    ...(theme === 'system' || theme === 'light' || theme === 'dark' ? { theme } : {}),
    ...(typeof keys === 'boolean' ? { keys } : {}),
    ...(Array.isArray(facets) && facets.every((name) => typeof name === 'string') ? { facets } : {}),
  };
}

class Prefs {
  #key = 'logwarden';
  #stored = $state<Stored>({ ...DEFAULTS });
  #is_person = false;
  #timer = 0;

  /** Loads what `user` chose; null before anybody has signed in. */
  load(user: string | null) {
    this.#key = user ? `logwarden.${user}` : 'logwarden';
    this.#is_person = false;
    clearTimeout(this.#timer);
    this.#timer = 0;
    try {
      this.#stored = { ...DEFAULTS, ...checked(JSON.parse(localStorage.getItem(this.#key) ?? '{}')) };
    } catch {
      this.#stored = { ...DEFAULTS };
    }
    this.#show_theme();
  }

  /** Takes over what the server has kept for the person who has just signed in. */
  async follow() {
    const key = this.#key;
    this.#is_person = true;
    try {
      const kept = checked(await get_settings());
      if (this.#key !== key || Object.keys(kept).length === 0) return;
      Object.assign(this.#stored, kept);
      this.#keep();
    } catch {
      // What the browser has kept is good enough; the next change is sent again.
    }
  }

  get zone() {
    return this.#stored.zone;
  }
  get theme() {
    return this.#stored.theme;
  }
  get keys() {
    return this.#stored.keys;
  }
  get facets() {
    return this.#stored.facets;
  }

  change(changes: Partial<Stored>) {
    Object.assign(this.#stored, changes);
    this.#keep();
    if (!this.#is_person) return;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#send(), SEND_AFTER_MS);
  }

  /** Sends at once what waits to be sent: the page goes away. */
  hurry() {
    if (this.#timer !== 0) this.#send();
  }

  #send() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    put_settings({ ...this.#stored }).catch(() => {
      // It stays in the browser, and goes along with the next change.
    });
  }

  #keep() {
    try {
      localStorage.setItem(this.#key, JSON.stringify(this.#stored));
    } catch {
      // A browser that stores nothing still works until it is closed.
    }
    this.#show_theme();
  }

  #show_theme() {
    const { theme } = this.#stored;
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }
}

export const prefs = new Prefs();
window.addEventListener('pagehide', () => prefs.hurry());
