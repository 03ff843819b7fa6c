// The JSON shapes of the HTTP API as the dashboard uses them: those of `schema.ts`, which is made from the server's
// own description, with the few words that a text can be where it is not just any text.
import type * as Schema from './schema';

/** The server leaves nothing out that it has a name for: what is not there is null. */
type Full<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

export type Role = 'ingest' | 'reader' | 'analyst' | 'admin' | 'metrics';

/** Who is signed in. */
export type Principal = Full<Schema.Session> & { role: Role; kind: 'user' | 'token' | 'certificate' };

export type Challenge = Schema.Challenge;
export type NewPasskeyChallenge = Schema.NewPasskeyChallenge;
export type MadePasskey = Schema.MadePasskey;
export type SignedChallenge = Schema.SignedChallenge;
export type Passkey = Full<Schema.Passkey>;

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
  /** Common name to the parser or source file that finds it. */
  parsers?: Record<string, string>;
}

export type Splits = Schema.Splits;

export type Column = Schema.Column;

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
  /** Not all that lies in it was read. */
  unread?: boolean;
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

export type AlertItem = Full<Schema.AlertItem> & {
  severity: Level;
  state: AlertState;
  resolution: Resolution | null;
};

export interface AlertPage extends Page<AlertItem> {
  counts: Record<AlertState, number> & {
    open_by_severity: Partial<Record<Level, number>>;
    /** Otherwise only the newest were counted, and there may be more. */
    complete: boolean;
  };
}

export type Evidence = Full<Schema.EvidenceEvent> & { fields: Record<string, FieldValue> };

export type TimelineEntry = Full<Schema.Happening>;

export type NotificationItem = Full<Schema.AlertNotification> & { state: 'pending' | 'sent' | 'failed' | 'limited' | 'silenced' };

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
  latency_ms: Schema.Latency;
}

export type RuleProblem = Schema.RuleProblem;

export type RuleStatistics = Full<Schema.RuleStatistics>;
export type RuleItem = Omit<Full<Schema.Rule>, 'statistics'> & { statistics: RuleStatistics | null; level: Level; state: 'enabled' | 'testing' | 'disabled' };

/** A rule with the text it stands in. */
export type RuleDetail = RuleItem & Pick<Schema.SingleRule, 'description' | 'text' | 'editable'>;

export type CheckedRules = Schema.CheckedRules;
export type RuleCoverage = Schema.Coverage;

export type RuleImportItem = Schema.RuleImportItem;
export type RuleImport = Schema.RuleImport;

/** What a rule would have done. */
export type Backtest = Schema.BacktestResult;

export type AlertLatency = Schema.AlertLatency;

export type Health = Schema.Health;

/** How a sender is, by what it has sent. */
export type SourceHealth = Full<Omit<Schema.SourceHealth, 'fields' | 'quota'>> & {
  quota: Full<Schema.SourceQuota>;
  state: 'active' | 'silent' | 'never_seen';
  /** Of a single source only. */
  fields?: Schema.SourceField[];
};

export type SourceItem = Full<Omit<Schema.Source, 'health'>> & { health: SourceHealth | null };

export type RouteItem = Omit<Full<Schema.Route>, 'origin' | 'routes'> & {
  severity_min: Level | null;
  routes: RouteItem[];
  /** Only on the outermost ones. */
  origin?: string | null;
};
export type RouteList = Omit<Full<Schema.RouteList>, 'items'> & { items: RouteItem[] };
export type RouteVerdict = Full<Schema.RouteVerdict>;
export type ToldName = Schema.ToldName;

export type RotaItem = Full<Schema.Rota>;
export type RotaList = Omit<Full<Schema.RotaList>, 'items'> & { items: RotaItem[] };

export type NotifierItem = Full<Schema.Notifier> & { state: 'ok' | 'failing' | 'paused' };

export type NotifierSettings = Omit<Schema.NotifierSettings, 'settings'> & { settings: Record<string, unknown> };

export type QueryProblem = Full<Schema.QueryProblem>;
export type Delivery = Full<Schema.Delivery> & { state: 'pending' | 'sent' | 'failed' | 'limited' | 'silenced' };

export type TokenItem = Full<Schema.Token>;

/** A new token with the credential itself, shown this once. */
export type CreatedToken = TokenItem & Pick<Schema.CreatedToken, 'token'>;

export type UserItem = Full<Schema.User>;

export type RoleItem = Schema.RoleItem & { role: Role };

export type SessionItem = Schema.SignedInAt;

export type Policy = Full<Schema.Policy>;

export type Amount = Schema.Amount;

export type Retention = Full<Omit<Schema.Retention, 'policies'>> & { policies: Policy[] };

export type AuditPage = Page<Hit>;

/** Something a person keeps; what `content` means is the dashboard's affair. */
export type SavedItem<C> = Omit<Schema.SavedItem, 'content'> & { content: C };

export type SilenceItem = Full<Schema.Silence>;

/** An export in the background. */
export type ExportItem = Full<Schema.ExportItem>;
