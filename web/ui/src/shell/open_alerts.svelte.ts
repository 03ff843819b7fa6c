// How many alerts are open, the same everywhere: whoever asks for alerts says it here, and it is asked again every now
// and then while the page is seen.
import { list_alerts } from '../api/alerts';
import type { AlertPage } from '../api/types';

const POLL_MS = 15_000;

class OpenAlerts {
  count = $state(0);

  /** Keeps `count` fresh until the returned function is called. */
  watch(): () => void {
    this.refresh();
    const timer = setInterval(() => {
      if (!document.hidden) this.refresh();
    }, POLL_MS);
    return () => clearInterval(timer);
  }

  refresh() {
    list_alerts({ state: 'open', limit: 1 }).then(
      ({ counts }) => this.take(counts),
      () => {},
    );
  }

  /** Takes what an answer says, which is of all alerts, whatever was asked for. */
  take(counts: AlertPage['counts']) {
    this.count = counts.open;
  }
}

export const open_alerts = new OpenAlerts();
