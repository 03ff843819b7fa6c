// The JSON shapes of the HTTP API that the dashboard reads and writes.

export type Role = 'ingest' | 'reader' | 'analyst' | 'admin' | 'metrics';

/** Who is signed in. */
export interface Principal {
  name: string;
  role: Role;
  kind: 'user' | 'token';
  time_zone: string | null;
}

export interface ApiErrorBody {
  code: string;
  message: string;
  request_id: string;
  /** Character offset into the query, for `syntax_error`. */
  position?: number;
  expected?: string[];
}

/** One list of things; `next` is the cursor of the following page. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

export type EventSeverity =
  | 'debug'
  | 'info'
  | 'notice'
  | 'warning'
  | 'error'
  | 'critical'
  | 'alert'
  | 'emergency';

export type FieldValue = string | number | boolean | null | FieldValue[] | { [key: string]: FieldValue };

/** One event as a search returns it. */
export interface Hit {
  id: string;
  seq: number;
  timestamp: string;
  observed_at: string;
  source: string;
  dataset: string;
  severity: EventSeverity;
  message: string;
  fields: Record<string, FieldValue>;
}

/** One event with the bytes it came as. */
export interface EventDetail extends Hit {
  raw?: string;
  raw_base64?: string;
  class?: string[];
  /** Common name to the sender's own name. */
  aliases?: Record<string, string>;
}

export interface Splits {
  read: number;
  of: number;
}

export interface Column {
  name: string;
  type: string;
}

/** The answer of one search: hits, or `columns` and `rows` when a pipe aggregates. */
export interface SearchAnswer {
  total: number;
  complete: boolean;
  took_ms: number;
  splits: Splits;
  next: string | null;
  hits?: Hit[];
  columns?: Column[];
  rows?: FieldValue[][];
}

export interface Bucket {
  timestamp: string;
  count: number;
  by?: Record<string, number>;
}

export interface HistogramAnswer {
  buckets: Bucket[];
  interval_ms: number;
  complete: boolean;
  total: number;
}

export interface Facet {
  name: string;
  type: string;
  values: { value: FieldValue; count: number }[];
  distinct: number;
  exact: boolean;
}

export interface FacetsAnswer {
  complete: boolean;
  fields: Facet[];
}

export interface FieldInfo {
  name: string;
  types: string[];
  count: number;
  description: string;
}

export interface ContextAnswer {
  anchor: Hit;
  before: Hit[];
  after: Hit[];
}

export type Level = 'informational' | 'low' | 'medium' | 'high' | 'critical';
export type AlertState = 'open' | 'acknowledged' | 'resolved';
export type Resolution = 'true_positive' | 'benign' | 'false_positive' | 'duplicate' | 'other';

export interface AlertItem {
  id: string;
  title: string;
  severity: Level;
  state: AlertState;
  rule: { id: string; name: string; title: string; type: string; version: number };
  entity: { kind: string; field: string; value: string } | null;
  group: Record<string, FieldValue>;
  opened_at: string;
  updated_at: string;
  first_event_at: string;
  last_event_at: string;
  ended_at: string | null;
  detections: number;
  events: number;
  assignee: string | null;
  resolution: Resolution | null;
}

export interface AlertPage extends Page<AlertItem> {
  counts: Record<AlertState, number>;
}

export interface Evidence {
  event_id: string;
  timestamp: string;
  message: string;
  fields: Record<string, FieldValue>;
  flag: string | null;
}

export interface TimelineEntry {
  at: string;
  kind: string;
  actor: string | null;
  text: string;
}

export interface NotificationItem {
  id: string;
  notifier: string;
  kind: string;
  state: 'pending' | 'sent' | 'failed';
  attempts: number;
  last_attempt_at: string | null;
  next_attempt_at: string | null;
  answer: string | null;
}

/** One alert with everything that explains it. */
export interface AlertDetail extends AlertItem {
  why: {
    text: string;
    observed: number | null;
    threshold: number | null;
    usual: [number, number] | null;
    window_secs: number | null;
    group: Record<string, FieldValue>;
    series: { timestamp: string; count: number }[];
  };
  evidence: Evidence[];
  evidence_total: number;
  entities: { kind: string; field: string; value: string; count: number }[];
  related: { id: string; title: string; severity: Level; state: AlertState; opened_at: string }[];
  what_to_do: string | null;
  runbook: string | null;
  timeline: TimelineEntry[];
  notifications: NotificationItem[];
  notes: { id: string; at: string; actor: string; text: string }[];
  links: { search?: string };
  latency_ms: { received?: number | null; evaluated?: number | null; notified?: number | null };
}

export interface RuleProblem {
  file?: string;
  line?: number;
  column?: number;
  message: string;
}

export interface RuleItem {
  id: string;
  name: string;
  title: string;
  kind: string;
  type: string;
  /** ATT&CK techniques and tactics. */
  attack: string[];
  level: Level;
  state: 'enabled' | 'testing' | 'disabled';
  file: string | null;
  problems: (RuleProblem | string)[];
}

/** A rule with the text it stands in. */
export interface RuleDetail extends RuleItem {
  description: string;
  text: string;
  editable: boolean;
}

export interface CheckedRules {
  problems: Required<RuleProblem>[];
  rules: number;
}

/** What a rule would have done. */
export interface Backtest {
  /** Events that were looked at. */
  events: number;
  /** Everything in the range was read. */
  complete: boolean;
  alerts: number;
  per_bucket: { timestamp: string; count: number }[];
  interval_ms: number;
  groups: { group: string; count: number }[];
  examples: { at: string; title: string }[];
  problems: Required<RuleProblem>[];
}

export interface Health {
  status: string;
  details?: {
    journal?: { end?: number; free_bytes?: number; durability?: string };
    index?: { visible?: number; lag_events?: number; splits?: number };
    detector?: { lag_events?: number };
    version?: string;
  };
}

/** How a sender is, by what it has sent. */
export interface SourceHealth {
  state: 'active' | 'silent' | 'never_seen';
  first_received_at: string | null;
  last_received_at: string | null;
  quiet_secs: number;
  silent_after_secs: number | null;
  events: number;
  bytes: number;
  rejected: number;
  events_per_sec: number;
  events_per_sec_usual: number;
  clock_skew_ms: number | null;
  failures: Record<string, { count: number; example: string; last_at: string }>;
  quota: {
    events_per_sec_max: number | null;
    bytes_per_sec_max: number | null;
    bytes_per_day_max: number | null;
    bytes_today: number;
    refused: number;
  };
  fields_new: string[];
  fields_gone: string[];
  fields_retyped: string[];
  fields?: { name: string; kinds: string[]; share: number; first_seen_at: string; last_seen_at: string }[];
  fields_beyond: number;
}

export interface SourceItem {
  name: string;
  events: number;
  last_event_at: string | null;
  last_received_at: string | null;
  health: SourceHealth | null;
}

export interface RouteItem {
  severity_min: Level | null;
  /** Names or ids; empty: every rule. */
  rules: string[];
  notify: string[];
}

export interface NotifierItem {
  id: string;
  name: string;
  kind: string;
  target: string;
  state: 'ok' | 'failing';
}

export interface Delivery extends NotificationItem {
  alert_id: string;
}

export interface TokenItem {
  name: string;
  role: Role;
  source: string | null;
  filter: string | null;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked: boolean;
}

/** A new token with the credential itself, shown this once. */
export interface CreatedToken extends TokenItem {
  token: string;
}

export interface UserItem {
  name: string;
  role: Role;
  created_at: string;
}

export interface SessionItem {
  id: string;
  created_at: string;
  used_at: string;
  /** The one this answer was asked for with. */
  current: boolean;
}

export interface Policy {
  dataset: string;
  keep_days: number | null;
  bytes_max: number | null;
  /** `configuration` for those of the file, which are changed there. */
  origin: string | null;
}

export interface Amount {
  splits: number;
  size_bytes: number;
}

export interface Retention {
  policies: Policy[];
  change_waits_until: string | null;
  held: Amount;
  due: Amount;
  refused: string | null;
}

export type AuditPage = Page<Hit>;

/** Something a person keeps; what `content` means is the dashboard's affair. */
export interface SavedItem<C> {
  id: string;
  name: string;
  owner: string;
  shared: boolean;
  updated_at: string;
  content: C;
}

export interface SilenceItem {
  id: string;
  rule_id: string | null;
  entity: string | null;
  reason: string;
  author: string;
  created_at: string;
  ends_at: string;
  active: boolean;
  ended_by: string | null;
}
