// What a person likes to have, kept in the browser under their name. Never holds a secret or a query.

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

const DEFAULTS: Stored = {
  zone: 'browser',
  theme: 'system',
  keys: true,
  facets: ['severity', 'dataset', 'source.ip', 'user.name', 'host.name', 'event.outcome'],
};

class Prefs {
  #key = 'logwarden';
  #stored = $state<Stored>({ ...DEFAULTS });

  /** Loads what `user` chose; null before anybody has signed in. */
  load(user: string | null) {
    this.#key = user ? `logwarden.${user}` : 'logwarden';
    try {
      const kept = JSON.parse(localStorage.getItem(this.#key) ?? '{}') as Partial<Stored>;
      this.#stored = { ...DEFAULTS, ...kept };
    } catch {
      this.#stored = { ...DEFAULTS };
    }
    this.#show_theme();
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
