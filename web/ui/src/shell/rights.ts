// What a role may do, so that what it may not is absent. The server decides again on every request.
import type { Role } from '../api/types';

export type Right =
  | 'handle_alerts'
  | 'read_notifiers'
  | 'write_notifiers'
  | 'write_rules'
  | 'write_silences'
  | 'manage_tokens'
  | 'administer';

const ANALYST: Right[] = ['handle_alerts', 'read_notifiers', 'write_rules', 'write_silences'];
const RIGHTS: Record<Role, Right[]> = {
  ingest: [],
  metrics: [],
  reader: [],
  analyst: ANALYST,
  admin: [...ANALYST, 'write_notifiers', 'manage_tokens', 'administer'],
};

export function role_may(role: Role | undefined, right: Right): boolean {
  return role !== undefined && RIGHTS[role].includes(right);
}
