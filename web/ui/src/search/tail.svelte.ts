// The live tail of a query: collects what the server pushes and hands it over a few times per second.
import { tail } from '../api/search';
import type { Hit } from '../api/types';

const FLUSH_MS = 250;
/** Above this the tail samples and says so. */
const EVENTS_PER_SEC_MAX = 200;
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

  start(q: string, deliver: (hits: Hit[]) => void) {
    this.stop();
    this.state = 'connecting';
    const stream = tail(q);
    this.#stream = stream;
    stream.addEventListener('open', () => (this.state = 'on'));
    stream.addEventListener('error', () => (this.state = 'lost'));
    stream.addEventListener('hit', (event) => this.#buffer.push(JSON.parse(event.data as string) as Hit));
    stream.addEventListener('dropped', (event) => {
      this.left_out += (JSON.parse(event.data as string) as { count: number }).count;
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

  #flush(deliver: (hits: Hit[]) => void) {
    let fresh = this.#buffer.splice(0);
    const most = (EVENTS_PER_SEC_MAX * FLUSH_MS) / 1000;
    this.is_sampling = fresh.length > most;
    if (this.is_sampling) {
      const step = fresh.length / most;
      this.left_out += fresh.length - most;
      fresh = Array.from({ length: most }, (_, index) => fresh[Math.floor(index * step)] as Hit);
    }
    if (fresh.length === 0) return;
    if (!this.is_paused) {
      deliver(fresh);
      return;
    }
    const room = WAITING_MAX - this.#held.length;
    this.left_out += Math.max(0, fresh.length - room);
    this.#held.push(...fresh.slice(0, room));
    this.waiting = this.#held.length;
  }
}
