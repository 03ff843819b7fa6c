// A clock for ages on the screen: moves on every ten seconds.
import { connection } from '../api/connection.svelte';

const TICK_MS = 10_000;

class Clock {
  now_ms = $state(connection.now_ms());

  constructor() {
    setInterval(() => (this.now_ms = connection.now_ms()), TICK_MS);
  }
}

export const clock = new Clock();
