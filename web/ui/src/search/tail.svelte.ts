// The live tail of a query: collects what the server pushes and hands it over a few times per second.
import { tail } from '../api/search';
import type { Hit } from '../api/types';

const FLUSH_MS = 250;
/** Above this, for longer than a burst, the tail samples and says so. */
const EVENTS_PER_SEC_MAX = 500;
/** Senders ship in batches: so much comes at once without being sampled. */
const BURST_EVENTS_MAX = 3 * EVENTS_PER_SEC_MAX;
/** How long it is still said that it sampled. */
const SAMPLING_SAID_MS = 3000;
/** While paused, at most this many wait. */
const WAITING_MAX = 10_000;

export class LiveTail {
  state = $state<'off' | 'connecting' | 'on' | 'lost'>('off');
  is_paused = $state(false);
  waiting = $state(0);
  /** Events that the server or we left out, since the start. */
  left_out = $state(0);
  is_sampling = $state(false);

  #stream: EventSource | null = null;
  #timer = 0;
  #buffer: Hit[] = [];
  #held: Hit[] = [];
  /** So many may be shown now; more become due with time. */
  #due = BURST_EVENTS_MAX;
  #sampled_at_ms = -Infinity;
  #pass_over: (count: number) => void = () => {};

  /** `pass_over` is told how many more matched than are delivered. */
  start(q: string, deliver: (hits: Hit[]) => void, pass_over: (count: number) => void) {
    this.stop();
    this.state = 'connecting';
    this.#pass_over = pass_over;
    const stream = tail(q);
    this.#stream = stream;
    stream.addEventListener('open', () => (this.state = 'on'));
    stream.addEventListener('error', () => (this.state = 'lost'));
    stream.addEventListener('hit', (event) => this.#buffer.push(JSON.parse(event.data as string) as Hit));
    stream.addEventListener('dropped', (event) => {
      this.#leave_out((JSON.parse(event.data as string) as { count: number }).count);
    });
    this.#timer = window.setInterval(() => this.#flush(deliver), FLUSH_MS);
  }

  stop() {
    this.#stream?.close();
    this.#stream = null;
    clearInterval(this.#timer);
    this.#buffer = [];
    this.#held = [];
    this.waiting = 0;
    this.left_out = 0;
    this.is_paused = false;
    this.is_sampling = false;
    this.#due = BURST_EVENTS_MAX;
    this.#sampled_at_ms = -Infinity;
    this.state = 'off';
  }

  pause() {
    this.is_paused = true;
  }

  resume(deliver: (hits: Hit[]) => void) {
    this.is_paused = false;
    deliver(this.#held.splice(0));
    this.waiting = 0;
  }

  #leave_out(count: number) {
    this.left_out += count;
    this.#pass_over(count);
  }

  #flush(deliver: (hits: Hit[]) => void) {
    let fresh = this.#buffer.splice(0);
    const now_ms = performance.now();
    const most = Math.max(1, Math.floor(this.#due));
    if (fresh.length > most) {
      const step = fresh.length / most;
      this.#leave_out(fresh.length - most);
      const all = fresh;
      fresh = Array.from({ length: most }, (_, index) => all[Math.floor(index * step)] as Hit);
      this.#sampled_at_ms = now_ms;
    }
    this.#due = Math.min(BURST_EVENTS_MAX, this.#due - fresh.length + (EVENTS_PER_SEC_MAX * FLUSH_MS) / 1000);
    this.is_sampling = now_ms - this.#sampled_at_ms < SAMPLING_SAID_MS;
    if (fresh.length === 0) return;
    if (!this.is_paused) {
      deliver(fresh);
      return;
    }
    const room = WAITING_MAX - this.#held.length;
    this.#leave_out(Math.max(0, fresh.length - room));
    this.#held.push(...fresh.slice(0, room));
    this.waiting = this.#held.length;
  }
}
