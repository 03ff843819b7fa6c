// What somebody may do, so that what they may not is absent. The server decides again on every request.
import type { Principal, Role } from '../api/types';

export type Right =
  | 'read_alerts'
  | 'read_alert_latency'
  | 'handle_alerts'
  | 'read_rules'
  | 'read_notifiers'
  | 'write_notifiers'
  | 'write_rules'
  | 'write_saved'
  | 'write_silences'
  | 'manage_tokens'
  | 'administer';

const READER: Right[] = ['read_alerts', 'read_alert_latency', 'read_rules'];
const ANALYST: Right[] = [...READER, 'handle_alerts', 'read_notifiers', 'write_rules', 'write_saved', 'write_silences'];
const RIGHTS: Record<Role, Right[]> = {
  ingest: [],
  metrics: [],
  reader: READER,
  analyst: ANALYST,
  admin: [...ANALYST, 'write_notifiers', 'manage_tokens', 'administer'],
};
/** Those that tell nothing about all events: who sees a part of them has no others. */
const OF_A_PART: Right[] = ['read_alerts', 'handle_alerts', 'read_rules', 'read_notifiers', 'write_saved', 'manage_tokens', 'administer'];

export function may(who: Principal | null, right: Right): boolean {
  if (!who || !RIGHTS[who.role].includes(right)) return false;
  return who.sees_everything || OF_A_PART.includes(right);
}
