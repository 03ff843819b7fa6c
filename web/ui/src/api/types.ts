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
  level: Level;
  state: 'enabled' | 'testing' | 'disabled';
  file: string | null;
  problems: (RuleProblem | string)[];
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
