// The types of the HTTP API, made from openapi.json by types.mjs (`npm run types`). Not edited by hand.

/** Alerts in one part of the range. */
export type AlertBucket = { count: number; timestamp: string; };

/** All there is to know about one alert. */
export type AlertDetails = AlertItem & {
  entities: EntityCount[];
  evidence: EvidenceEvent[];
  evidence_total: number;
  latency_ms: Latency;
  links: Links;
  notes: Note[];
  notifications: AlertNotification[];
  related: Related[];
  runbook?: string | null;
  timeline: Happening[];
  what_to_do: string;
  why: Reason;
};

/** An alert as lists show it. */
export type AlertItem = {
  assignee?: string | null;
  detections: number;
  ended_at?: string | null;
  entity?: Entity | null;
  events: number;
  first_event_at: string;
  group: Record<string, string>;
  id: string;
  last_event_at: string;
  opened_at: string;
  resolution?: string | null;
  rule: AlertRule;
  severity: string;
  state: string;
  title: string;
  updated_at: string;
};

/** How long alerts took, each from receiving the event that fired to the alert. */
export type AlertLatency = { alerts: number; p50_ms?: number | null; p99_ms?: number | null; waited: number; };

/** A page of alerts. */
export type AlertList = { counts: Counts; items: AlertItem[]; next?: string | null; };

/** A notification about the alert. */
export type AlertNotification = {
  answer: string;
  attempts: number;
  id: string;
  kind: string;
  last_attempt_at?: string | null;
  next_attempt_at?: string | null;
  notifier: string;
  state: string;
};

/** The rule that opened an alert. */
export type AlertRule = { id: string; labels: Record<string, string>; name: string; title: string; type: string; version: number; };

/** Some splits. */
export type Amount = { size_bytes: number; splits: number; };

/** Somebody who may handle alerts. */
export type Assignee = { name: string; };

/** Who is to handle an alert. */
export type Assignment = { assignee?: string | null; };

/** Rules and a range of time to run them over. */
export type Backtest = { against?: string | null; from: Word; replaces?: string | null; rules: string; to?: Word | null; };

/** How the alerts of two versions differ. Alerts are the same when they are of one group at one time. */
export type BacktestDifference = { alerts: number; gained: number; lost: number; problems: RuleProblem[]; };

/** An alert that would have been opened. */
export type BacktestExample = { at: string; title: string; };

/** What rules would have found. */
export type BacktestResult = {
  alerts: number;
  complete: boolean;
  difference?: BacktestDifference | null;
  events: number;
  examples: BacktestExample[];
  groups: GroupCount[];
  interval_ms: number;
  known?: KnownAlerts | null;
  per_bucket: AlertBucket[];
  problems: RuleProblem[];
};

/** Events in one span of time. */
export type Bucket = { by?: Record<string, number> | null; count: number; timestamp: string; unread?: boolean; };

/** What a device is to sign. */
export type Challenge = { challenge: string; host: string; };

/** What checking found. */
export type CheckedRules = { problems: RuleProblem[]; rules: number; warnings: RuleProblem[]; };

/** One column of a table. */
export type Column = { name: string; type: string; };

/** A secret with a code that the app made of it. */
export type ConfirmedSecondFactor = { code: string; current: string; secret: string; };

/** An event and those around it. */
export type Context = { after: Hit[]; anchor: Hit; before: Hit[]; };

/** A value with the events that have it. */
export type CountedValue = { count: number; value: unknown; };

/** How many alerts stand where. */
export type Counts = { acknowledged: number; complete: boolean; open: number; open_by_severity: Record<string, number>; resolved: number; };

/** Whether a rule can match. */
export type Coverage = { file: string; id: string; logsource: string; reason: string; title: string; verdict: string; };

/** A new token, shown this once. */
export type CreatedToken = Token & { token: string; };

/** A name with its password. */
export type Credentials = { code?: string | null; name: string; password: string; };

/** One notification and what became of it. */
export type Delivery = {
  alert_id: string;
  alert_title?: string | null;
  answer: string;
  attempts: number;
  created_at: string;
  event: string;
  id: string;
  kind: string;
  last_attempt_at?: string | null;
  latency_ms?: number | null;
  next_attempt_at?: string | null;
  notifier: string;
  route?: string | null;
  state: string;
};

/** The detector in numbers. */
export type DetectorDetails = { lag_events: number; };

/** Somebody's time on duty. */
export type DutyTurn = { from: string; person: string; stands_in: boolean; to: string; };

/** A file of addresses or a threat list. */
export type EnrichmentDetails = { entries: number; left_out: number; name: string; problem: string; written_at?: string | null; };

/** Who or what an alert is about. */
export type Entity = { field: string; kind: string; value: string; };

/** An entity with the events it was seen in. */
export type EntityCount = { count: number; field: string; kind: string; value: string; };

/** The body of every error. */
export type ErrorBody = { error: ErrorContent; };

/** What went wrong. */
export type ErrorContent = { code: string; expected?: string[]; message: string; position?: number | null; request_id: string; };

/** Who is told when an alert stays unacknowledged. */
export type Escalation = { after_mins: number; notify: string[]; };

/** Who would be told after some minutes. */
export type EscalationVerdict = { after_mins: number; told: ToldName[]; };

/** One event as the alert keeps it. */
export type EvidenceEvent = { event_id: string; fields: Record<string, unknown>; flag?: string | null; message: string; timestamp: string; };

/** What to export, and as what. */
export type ExportBody = {
  fields?: Names | null;
  format?: ExportFormat;
  from?: Word | null;
  q?: string | null;
  raw?: boolean;
  to?: Word | null;
};

/** As what. */
export type ExportFormat = "ndjson" | "csv";

/** An export in the background; the same, as a file of its own, is its header. */
export type ExportItem = {
  began_at: string;
  ended_at?: string | null;
  error?: string | null;
  events: number;
  fields: string[];
  file_name: string;
  format: ExportFormat;
  from?: string | null;
  id: string;
  principal: string;
  q: string;
  raw: boolean;
  size_bytes: number;
  state: ExportState;
  to?: string | null;
  total?: number | null;
};

/** How far an export is. */
export type ExportState = "running" | "done" | "incomplete" | "failed";

/** The most frequent values of one field. */
export type Facet = { distinct: number; exact: boolean; name: string; type: string; values: CountedValue[]; };

/** The most frequent values of each field. */
export type Facets = { complete: boolean; fields: Facet[]; unreadable?: string[]; };

/** A field that occurs. */
export type Field = { count: number; description: string; name: string; types: string[]; };

/** The first administrator. */
export type FirstAdministrator = { code: string; name: string; password: string; };

/** Alerts of one group. */
export type GroupCount = { count: number; group: string; };

/** One entry of the timeline. */
export type Happening = { actor?: string | null; at: string; kind: string; text: string; };

/** How the node is. */
export type Health = { details?: HealthDetails | null; status: string; };

/** How the node is, in numbers. Who sees a part of the events is told nothing that counts all of them. */
export type HealthDetails = {
  detector?: DetectorDetails | null;
  enrichments: EnrichmentDetails[];
  index?: IndexDetails | null;
  inputs: InputDetails[];
  journal?: JournalDetails | null;
  version: string;
};

/** Events over time. */
export type Histogram = { buckets: Bucket[]; complete: boolean; interval_ms: number; total: number; unreadable?: string[]; };

/** One event as searches give it. */
export type Hit = {
  dataset: string;
  fields: Record<string, unknown>;
  id: string;
  message: string;
  observed_at: string;
  seq: number;
  severity: string;
  source: string;
  timestamp: string;
};

/** The index in numbers. */
export type IndexDetails = { day_bytes?: number | null; lag_events: number; size_bytes: number; splits: number; visible: number; };

/** What became of a batch, after it is durable. */
export type IngestReceipt = {
  accepted: number;
  dead_lettered: number;
  duplicate: boolean;
  errors: RefusedLine[];
  rejected: number;
  seq_first: number;
  seq_last: number;
};

/** An input in numbers. */
export type InputDetails = { kind: string; lag: number; name: string; problem: string; records: number; restarts: number; };

/** The journal in numbers. */
export type JournalDetails = { durability: string; end: number; free_bytes: number; };

/** Alerts of the rules that were opened, whose events are of the range. */
export type KnownAlerts = { alerts: number; items: MissedAlert[]; missed: number; quieted: number; };

/** How long the event that opened it took, in milliseconds; all but the first from our receiving it. */
export type Latency = {
  delivered?: number | null;
  durable?: number | null;
  evaluated?: number | null;
  notified?: number | null;
  received?: number | null;
};

/** A letter: an event that also says when it was replayed. */
export type Letter = {
  dataset: string;
  fields: Record<string, unknown>;
  id: string;
  message: string;
  observed_at: string;
  seq: number;
  severity: string;
  source: string;
  timestamp: string;
} & Record<string, unknown> & { replayed_at?: string | null; };

/** Which letters. What is left out does not narrow them. */
export type Letters = {
  code?: string | null;
  cursor?: string | null;
  from?: string | null;
  limit?: number | null;
  q?: string | null;
  source?: string | null;
  to?: string | null;
};

/** Where to go on from here. */
export type Links = { search: string; };

/** A key that a device has made. */
export type MadePasskey = { authenticator_data: string; client_data: string; current: string; id: string; name: string; public_key: string; };

/** An alert that would not be opened. */
export type MissedAlert = { id: string; opened_at: string; state: string; title: string; };

/** Names as a list or with commas between. */
export type Names = string[] | string;

/** Something to write down. */
export type NewNote = { text: string; };

/** What a device is to make a key for. */
export type NewPasskeyChallenge = Challenge & { handle: string; known: string[]; name: string; };

/** The policies to set; those of the configuration may stand among them and are left as they are. */
export type NewRetention = { policies: Policy[]; };

/** The rotas to set; those of the configuration may stand among them and are left as they are. */
export type NewRotas = { items: Rota[]; };

/** The routes to set; those of the configuration may stand among them and are left as they are. */
export type NewRoutes = { items: Route[]; };

/** A saved search or dashboard to keep. */
export type NewSavedItem = { content: unknown; name: string; shared?: boolean; };

/** A secret for an authenticator app, shown this once; it counts once it is confirmed. */
export type NewSecondFactor = { secret: string; url: string; };

/** A silence to begin. */
export type NewSilence = { ends_at?: string | null; entity?: string | null; lasts?: string | null; reason: string; rule_id?: string | null; };

/** A source to be: what sends, and what it is let in by. */
export type NewSource = { expires?: string | null; name: string; token?: string | null; };

/** A token to make. */
export type NewToken = { expires?: string | null; filter?: string | null; name: string; role: string; source?: string | null; };

/** An account to make. */
export type NewUser = { name: string; password: string; role: string; };

/** A group that causes many alerts. */
export type NoisyGroup = { count: number; group: string; };

/** Something somebody wrote down. */
export type Note = { actor?: string | null; at: string; id: string; text: string; };

/** Nothing to say: `{}`. */
export type Nothing = Record<string, unknown>;

/** Somebody who can be told. */
export type Notifier = { id: string; kind: string; name: string; origin: string; paused_until?: string | null; state: string; target: string; };

/** How a notifier is set. */
export type NotifierSettings = { kind: string; name: string; origin?: string | null; settings: Record<string, unknown>; };

/** A passkey of one's own. */
export type Passkey = { created_at: string; id: string; name: string; used_at?: string | null; };

/** Another password. */
export type PasswordChange = { current: string; password: string; };

/** Somebody who takes turns. */
export type Person = { name: string; notify: string[]; };

/** How long some datasets are kept; the first that matches a dataset governs it. */
export type Policy = { bytes_max?: number | null; dataset: string; keep_days?: number | null; origin?: string | null; };

/** The present password. */
export type PresentPassword = { current: string; };

/** Why a letter still is no record. */
export type Problem = { id: string; reason: string; };

/** A provider of identities. */
export type ProviderItem = { name: string; };

/** Whether a query can be read. */
export type QueryCheck = { problem?: QueryProblem | null; };

/** What is wrong with a query. */
export type QueryProblem = { expected: string[]; message: string; position: number; };

/** Why an alert was opened. */
export type Reason = {
  group: Record<string, string>;
  observed: number;
  series: SeriesPoint[];
  text: string;
  threshold: number;
  usual?: number[] | null;
  window_secs: number;
};

/** Why one line became no event. */
export type RefusedLine = { code: string; line: number; reason: string; };

/** Another alert about one of the same entities. */
export type Related = { id: string; opened_at: string; severity: string; state: string; title: string; };

/** What became of the letters of one page. */
export type Replays = {
  events: number;
  letters: number;
  next?: string | null;
  not_replayable: number;
  problems: Problem[];
  replayed: number;
  replayed_before: number;
  still_bad: number;
  unsettled: number;
};

/** Why an alert is done with. */
export type Resolving = { note?: string | null; reason: string; };

/** Retention as it is, and what it would remove now. */
export type Retention = { change_waits_until?: string | null; due: Amount; held: Amount; policies: Policy[]; refused?: string | null; };

/** A role: one there always is, or one of the configuration that narrows it. */
export type RoleItem = { filters: string[]; mask: string[]; name: string; role: string; };

/** People who take turns. */
export type Rota = {
  name: string;
  origin?: string | null;
  overrides?: StandIn[];
  people: Person[];
  shift_days: number;
  starts: string;
  turns?: DutyTurn[];
  zone: string;
};

/** The rotas. */
export type RotaList = { items: Rota[]; next?: string | null; version: number; };

/** Which alerts go to whom; of its own routes the first that takes an alert decides. */
export type Route = {
  digest_mins?: number | null;
  escalate?: Escalation[] | null;
  group_by?: string[] | null;
  group_wait_secs?: number | null;
  hours?: RouteHours | null;
  labels?: Record<string, string>;
  name?: string | null;
  notify?: string[] | null;
  origin?: string | null;
  per_hour_max?: number | null;
  routes?: Route[];
  rules?: string[];
  severity_min?: string | null;
};

/** Hours of the week. */
export type RouteHours = { days?: string[]; from: string; to: string; zone: string; };

/** The routes, from the top. */
export type RouteList = { items: Route[]; next?: string | null; problems: string[]; version: number; };

/** An alert that could be. */
export type RouteQuestion = { at?: string | null; group?: Record<string, string>; rule?: string | null; severity: string; };

/** Who would be told. */
export type RouteVerdict = { digest_mins?: number | null; escalate: EscalationVerdict[]; route?: string | null; told: ToldName[]; };

/** A rule as lists show it. */
export type Rule = {
  attack: string[];
  file: string;
  id: string;
  kind: string;
  level: string;
  name: string;
  problems: RuleProblem[];
  risk?: number | null;
  state: string;
  statistics?: RuleStatistics | null;
  title: string;
  type: string;
};

/** What became of the rules of a file. */
export type RuleImport = { imported: number; items: RuleImportItem[]; next?: string | null; };

/** What became of one rule. */
export type RuleImportItem = { file: string; lost: string[]; made: string[]; name: string; outcome: string; };

/** One match. */
export type RuleMatch = { event_index: number; rule_id: string; };

/** Something wrong with a rule. */
export type RuleProblem = { column: number; file: string; line: number; message: string; };

/** What the alerts of a rule say about it. */
export type RuleStatistics = {
  alerts_7d: number;
  alerts_per_day: number[];
  evaluation_p99_us?: number | null;
  false_share_7d?: number | null;
  groups: NoisyGroup[];
  last_alert_at?: string | null;
  noisy: boolean;
};

/** Rules and records to run them over. */
export type RuleTrial = { events: string[]; rules: string; };

/** What running rules over records found. */
export type RuleTrialResult = { matches: RuleMatch[]; problems: RuleProblem[]; };

/** A saved search or dashboard. */
export type SavedItem = { content: unknown; id: string; name: string; owner: string; shared: boolean; updated_at: string; };

/**
 * What to search for; the same as the parameters of GET. A name that is none of these is refused: a question
 * that is left out would be answered with everything.
 */
export type SearchBody = {
  cursor?: string | null;
  fields?: Names | null;
  from?: Word | null;
  limit?: number | null;
  q?: string | null;
  sort?: string | null;
  to?: Word | null;
};

/** What was found: hits, or `columns` and `rows` when a pipe aggregates. */
export type SearchResult = {
  columns?: Column[] | null;
  complete: boolean;
  hits?: Hit[] | null;
  next?: string | null;
  rows?: unknown[][] | null;
  splits: Splits;
  took_ms: number;
  total: number;
  unreadable?: string[] | null;
};

/** Whether signing in needs a code. */
export type SecondFactor = { enabled: boolean; };

/** Events in one minute. */
export type SeriesPoint = { count: number; timestamp: string; };

/** Who is signed in. */
export type Session = { kind: string; name: string; role: string; role_name: string; sees_everything: boolean; time_zone?: string | null; };

/** Whether anybody can sign in yet. */
export type SetupState = { needed: boolean; };

/** What a device has signed. */
export type SignedChallenge = { authenticator_data: string; client_data: string; id: string; signature: string; };

/** Where somebody is signed in. */
export type SignedInAt = { created_at: string; current: boolean; id: string; used_at: string; user: string; };

/** A time span in which some alerts notify nobody. */
export type Silence = {
  active: boolean;
  author: string;
  created_at: string;
  ended_by?: string | null;
  ends_at: string;
  entity?: string | null;
  id: string;
  reason: string;
  rule_id?: string | null;
};

/** Which alerts to mute: those of the rule, about the entity, or both. */
export type SilenceScope = { entity?: string | null; rule_id?: string | null; };

/** One event with everything that is known of it. */
export type SingleEvent = {
  dataset: string;
  fields: Record<string, unknown>;
  id: string;
  message: string;
  observed_at: string;
  seq: number;
  severity: string;
  source: string;
  timestamp: string;
} & Record<string, unknown> & { aliases: Record<string, string>; class: string[]; parsers: Record<string, string>; raw: string; raw_base64: string; };

/** A rule with its text. */
export type SingleRule = Rule & { description: string; editable: boolean; text: string; };

/** A sender. */
export type Source = {
  events: number;
  health?: SourceHealth | null;
  last_event_at?: string | null;
  last_received_at?: string | null;
  name: string;
};

/** Records of a sender that could not become events, for one reason. */
export type SourceFailures = { count: number; example: string; last_at: string; };

/** A field of a sender's events. */
export type SourceField = { first_seen_at: string; kinds: string[]; last_seen_at: string; name: string; share: number; };

/** How a sender is. Counts are since it was first seen, also over restarts. */
export type SourceHealth = {
  bytes: number;
  clock_skew_ms?: number | null;
  events: number;
  events_per_sec: number;
  events_per_sec_usual: number;
  failures: Record<string, SourceFailures>;
  fields?: SourceField[];
  fields_beyond: number;
  fields_gone: string[];
  fields_new: string[];
  fields_retyped: string[];
  first_received_at?: string | null;
  last_received_at?: string | null;
  quiet_secs: number;
  quota: SourceQuota;
  rejected: number;
  silent_after_secs?: number | null;
  state: string;
};

/** What a sender may send, and what it has. */
export type SourceQuota = {
  bytes_per_day_max?: number | null;
  bytes_per_sec_max?: number | null;
  bytes_today: number;
  events_per_sec_max?: number | null;
  refused: number;
};

/** How many parts of the index were read. */
export type Splits = { of: number; read: number; };

/** Somebody stands in. */
export type StandIn = { from: string; person: string; to: string; };

/** How a test went. */
export type TestResult = { answer: string; ok: boolean; text: string; };

/** What a test would send. */
export type TestText = { text: string; };

/** A token, without what it is made of. */
export type Token = {
  created_at: string;
  expires_at?: string | null;
  filter?: string | null;
  last_used_at?: string | null;
  name: string;
  revoked: boolean;
  role: string;
  source?: string | null;
};

/** One of those who would be told. */
export type ToldName = { notifier: string; why?: string | null; };

/** A local account. */
export type User = { created_at: string; name: string; provider?: string | null; role: string; second_factor: boolean; };

/** What changes of an account; what is left out stays. Its sessions end. */
export type UserChange = { password?: string | null; role?: string | null; };

/** A time or a number, as a query string or JSON gives it. */
export type Word = string | number;
