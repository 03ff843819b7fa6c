// Where alerts opened, as marks of a plot.
import type { AlertItem } from '../api/types';
import type { Mark } from '../components/plot';

export function alert_mark({ id, opened_at, title }: Pick<AlertItem, 'id' | 'opened_at' | 'title'>): Mark {
  return { at_ms: Date.parse(opened_at), href: `/alerts/${encodeURIComponent(id)}`, title };
}
