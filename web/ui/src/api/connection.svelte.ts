// Whether the server can be reached: set by the client, shown by the frame.

const RETRY_MS = 3000;

class Connection {
  lost = $state(false);
  /** When the server last answered, by the browser's clock. */
  last_ok_ms = $state(Date.now());
  /** How far the server's clock is ahead of ours; its `Date` header has whole seconds. */
  clock_ahead_ms = 0;

  ok(date_header: string | null) {
    this.last_ok_ms = Date.now();
    this.lost = false;
    const server_ms = date_header ? Date.parse(date_header) : NaN;
    if (Number.isNaN(server_ms)) return;
    const ahead_ms = server_ms - Date.now();
    // Below two seconds it is only the header's resolution.
    this.clock_ahead_ms = Math.abs(ahead_ms) > 2000 ? ahead_ms : 0;
  }

  fail() {
    if (this.lost) return;
    this.lost = true;
    const timer = setInterval(async () => {
      try {
        const answer = await fetch('/api/v1/health');
        this.ok(answer.headers.get('date'));
      } catch {
        // Still away; the next round asks again.
      }
      if (!this.lost) clearInterval(timer);
    }, RETRY_MS);
  }

  /** Now by the server's clock, in milliseconds. */
  now_ms(): number {
    return Date.now() + this.clock_ahead_ms;
  }
}

export const connection = new Connection();
