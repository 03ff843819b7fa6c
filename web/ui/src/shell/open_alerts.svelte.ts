// How many alerts are open, for the navigation; asked again every now and then while the page is seen.
import { list_alerts } from '../api/alerts';

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
      ({ counts }) => (this.count = counts.open),
      () => {},
    );
  }
}

export const open_alerts = new OpenAlerts();
