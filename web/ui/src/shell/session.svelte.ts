// Who is signed in, what they may do, and the promise that a request waits on while they sign in again.
import { on_unauthorized } from '../api/client';
import * as api from '../api/system';
import type { Principal } from '../api/types';
import { sign } from './passkeys';
import { prefs } from './prefs.svelte';
import { may, type Right } from './rights';
import { is_own_path, router } from './router.svelte';

/** Says that this browser was signed in once; it opens nothing. */
const HINT = 'logwarden.signed-in';

/**
 * Whether asking who we are makes sense. A stranger's question is answered 401, which every browser puts on its
 * console as an error; the open health page tells strangers apart without one.
 */
async function may_be_signed_in(): Promise<boolean> {
  if (localStorage.getItem(HINT)) return true;
  return (await api.health()).details !== undefined;
}

class Session {
  who = $state.raw<Principal | null>(null);
  /** `asking` until the server has said who we are. */
  state = $state<'asking' | 'in' | 'out' | 'unreachable'>('asking');
  /** The session has ended under an open view: "Sign in again" is shown over it. */
  has_expired = $state(false);
  #waiting: ((signed_in: boolean) => void)[] = [];

  constructor() {
    on_unauthorized(() => this.#renewed());
  }

  get may_handle_alerts(): boolean {
    return this.may('handle_alerts');
  }

  may(right: Right): boolean {
    return may(this.who, right);
  }

  async start() {
    prefs.load(null);
    try {
      if (await may_be_signed_in()) this.#enter(await api.who_am_i());
      else this.leave();
    } catch (error) {
      const status = (error as { status?: number }).status;
      if (status === 401 || status === 403) this.leave();
      else this.state = 'unreachable';
    }
  }

  async sign_in(name: string, password: string, code?: string) {
    this.#renew(await api.sign_in(name, password, code));
  }

  async sign_in_with_passkey() {
    const signed = await sign(await api.open_challenge());
    this.#renew(await api.sign_in_with_passkey(signed));
  }

  async set_up(code: string, name: string, password: string) {
    await api.set_up(code, name, password);
    this.#enter(await api.who_am_i());
  }

  async sign_out() {
    await api.sign_out().catch(() => {});
    this.leave();
    router.go('/login');
  }

  /** Forgets who was signed in; a view that waits for a renewed session gets its error. */
  leave() {
    this.has_expired = false;
    this.who = null;
    this.state = 'out';
    localStorage.removeItem(HINT);
    prefs.load(null);
    for (const resolve of this.#waiting.splice(0)) resolve(false);
  }

  #enter(who: Principal) {
    this.who = who;
    localStorage.setItem(HINT, '1');
    prefs.load(who.name);
    if (who.kind === 'user') prefs.follow();
    this.state = 'in';
  }

  #renew(who: Principal) {
    this.#enter(who);
    this.has_expired = false;
    for (const resolve of this.#waiting.splice(0)) resolve(true);
  }

  #renewed(): Promise<boolean> {
    if (this.state !== 'in') return Promise.resolve(false);
    this.has_expired = true;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

export const session = new Session();

/** Where to go after signing in: the page that asked for it, kept in the history entry and not in the URL. */
export function page_after_sign_in(): string {
  const next = (history.state as { next?: unknown } | null)?.next;
  return is_own_path(next) && !next.startsWith('/login') ? next : '/';
}
