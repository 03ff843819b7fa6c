// The types of the HTTP API, made from openapi.json by types.mjs (`npm run types`). Not edited by hand.

/** Alerts in one part of the range. */
export type AlertBucket = {
  count: number;
  timestamp: string;
};

/** All there is to know about one alert. */
export type AlertDetails = AlertItem & {
  entities: EntityCount[];
  /** Events that prove it, oldest first. */
  evidence: EvidenceEvent[];
  /** How many events there are in all. */
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
  /** How often the rule fired into it. */
  detections: number;
  /** Since when the condition no longer holds. */
  ended_at?: string | null;
  entity?: Entity | null;
  /** Events in it, exactly. */
  events: number;
  first_event_at: string;
  /** The fields the rule groups by, with their values. */
  group: Record<string, string>;
  id: string;
  last_event_at: string;
  opened_at: string;
  /** `true_positive`, `benign`, `false_positive`, `duplicate` or `other`. */
  resolution?: string | null;
  rule: AlertRule;
  /** `informational`, `low`, `medium`, `high` or `critical`. */
  severity: string;
  /** `open`, `acknowledged` or `resolved`. */
  state: string;
  /** What happened, with the numbers in it. */
  title: string;
  updated_at: string;
};

/** A page of alerts. */
export type AlertList = {
  /** How many there are in each state, whatever the query. */
  counts: Counts;
  /** The alerts, newest first. */
  items: AlertItem[];
  /** Hand it back as `cursor` for the next page; null on the last one. */
  next?: string | null;
};

/** A notification about the alert. */
export type AlertNotification = {
  /** What the receiver said. */
  answer: string;
  attempts: number;
  id: string;
  /** `email` or `webhook`. */
  kind: string;
  last_attempt_at?: string | null;
  next_attempt_at?: string | null;
  notifier: string;
  /** `pending`, `sent` or `failed`. */
  state: string;
};

/** The rule that opened an alert. */
export type AlertRule = {
  id: string;
  name: string;
  title: string;
  type: string;
  version: number;
};

/** Some splits. */
export type Amount = {
  size_bytes: number;
  splits: number;
};

/** Who is to handle an alert. */
export type Assignment = {
  /** A name; null: nobody. */
  assignee?: string | null;
};

/** Rules and a range of time to run them over. */
export type Backtest = {
  /** The first instant. */
  from: Word;
  /** The id of a rule in use whose text they replace. */
  replaces?: string | null;
  /** The rules, as YAML; they may refer to rules in use. */
  rules: string;
  to?: Word | null;
};

/** An alert that would have been opened. */
export type BacktestExample = {
  at: string;
  title: string;
};

/** What rules would have found. */
export type BacktestResult = {
  /** Alerts that would have been opened, were each dealt with before the next of its group. */
  alerts: number;
  /** Whether these are all events of the range. */
  complete: boolean;
  /** Events that were looked at. */
  events: number;
  /** The newest alerts. */
  examples: BacktestExample[];
  /** Which groups cause the most. */
  groups: GroupCount[];
  /** The length of one part. */
  interval_ms: number;
  /** The same over time. */
  per_bucket: AlertBucket[];
  /** What is wrong with the rules; nothing was run then. */
  problems: RuleProblem[];
};

/** Events in one span of time. */
export type Bucket = {
  /** Events by value, when `by` was asked. */
  by?: Record<string, number> | null;
  count: number;
  /** Where it begins. */
  timestamp: string;
};

/** What checking found. */
export type CheckedRules = {
  problems: RuleProblem[];
  /** Rules that can be used. */
  rules: number;
};

/** One column of a table. */
export type Column = {
  name: string;
  /** `string`, `integer`, `float`, `bool`, `ip` or `timestamp`. */
  type: string;
};

/** A secret with a code that the app made of it. */
export type ConfirmedSecondFactor = {
  /** Six digits. */
  code: string;
  secret: string;
};

/** An event and those around it. */
export type Context = {
  /** Oldest first. */
  after: Hit[];
  anchor: Hit;
  /** Oldest first. */
  before: Hit[];
};

/** A value with the events that have it. */
export type CountedValue = {
  count: number;
  value: unknown;
};

/** How many alerts stand where. */
export type Counts = {
  acknowledged: number;
  open: number;
  resolved: number;
};

/** A new token, shown this once. */
export type CreatedToken = Token & {
  /** The credential itself. */
  token: string;
};

/** A name with its password. */
export type Credentials = {
  /** A code of the second factor, for those who have one. */
  code?: string | null;
  /** The user's name. */
  name: string;
  /** The user's password. */
  password: string;
};

/** One notification and what became of it. */
export type Delivery = {
  alert_id: string;
  answer: string;
  attempts: number;
  id: string;
  /** `email` or `webhook`. */
  kind: string;
  last_attempt_at?: string | null;
  next_attempt_at?: string | null;
  notifier: string;
  /** `pending`, `sent` or `failed`. */
  state: string;
};

/** The detector in numbers. */
export type DetectorDetails = {
  /** Records it has yet to look at. */
  lag_events: number;
};

/** Who or what an alert is about. */
export type Entity = {
  field: string;
  /** `ip`, `user`, `host` or `other`. */
  kind: string;
  value: string;
};

/** An entity with the events it was seen in. */
export type EntityCount = {
  count: number;
  field: string;
  kind: string;
  value: string;
};

/** The body of every error. */
export type ErrorBody = {
  error: ErrorContent;
};

/** What went wrong. */
export type ErrorContent = {
  /** A word for programs, such as `syntax_error`. */
  code: string;
  /** For `syntax_error`: what could have stood there. */
  expected?: string[];
  /** A sentence for people. */
  message: string;
  /** For `syntax_error`: where in the query, in characters from 0 on. */
  position?: number | null;
  /** Names this request in the server's log. */
  request_id: string;
};

/** One event as the alert keeps it. */
export type EvidenceEvent = {
  event_id: string;
  fields: Record<string, unknown>;
  /** Why it stands out, such as `first_success`. */
  flag?: string | null;
  message: string;
  timestamp: string;
};

/** What to export, and as what. */
export type ExportBody = {
  fields?: Names | null;
  /** `ndjson` or `csv`. */
  format?: ExportFormat;
  from?: Word | null;
  /** The query; of its pipes only `where` and `fields` may be used. */
  q?: string | null;
  /** Adds the raw record; not when nothing is said. */
  raw?: boolean;
  to?: Word | null;
};

/** As what. */
export type ExportFormat = "ndjson" | "csv";

/** The most frequent values of one field. */
export type Facet = {
  /** Different values there are. */
  distinct: number;
  /** Counts and `distinct` are exact. */
  exact: boolean;
  name: string;
  type: string;
  /** Most events first. */
  values: CountedValue[];
};

/** The most frequent values of each field. */
export type Facets = {
  /** Everything that lies in the range was read. */
  complete: boolean;
  /** In the order asked. */
  fields: Facet[];
  /** Parts that could not be read, by name. */
  unreadable?: string[];
};

/** A field that occurs. */
export type Field = {
  /** Events that have it. */
  count: number;
  /** What it means, for a standard field. */
  description: string;
  name: string;
  /** The types of its values. */
  types: string[];
};

/** The first administrator. */
export type FirstAdministrator = {
  /** The code that the first start printed. */
  code: string;
  /** The name to sign in with. */
  name: string;
  /** The password, at least 12 characters. */
  password: string;
};

/** Alerts of one group. */
export type GroupCount = {
  count: number;
  /** The group's values; empty: all events are one group. */
  group: string;
};

/** One entry of the timeline. */
export type Happening = {
  actor?: string | null;
  at: string;
  /**
   * `opened`, `acknowledged`, `assigned`, `resolved`, `reopened`, `note`, `ended`, `events`,
   * `notified` or `failed`.
   */
  kind: string;
  text: string;
};

/** How the node is. */
export type Health = {
  details?: HealthDetails | null;
  /** `ready`, or why not: `recovering`, `degraded`, `read_only`, `disk_full`, `journal_failed`. */
  status: string;
};

/** How the node is, in numbers. */
export type HealthDetails = {
  /** The detector. */
  detector: DetectorDetails;
  /** The index. */
  index: IndexDetails;
  /** The inputs, in the order of the configuration. */
  inputs: InputDetails[];
  /** The journal. */
  journal: JournalDetails;
  /** The release, such as `0.1.0`. */
  version: string;
};

/** Events over time. */
export type Histogram = {
  /** Oldest first, the empty ones too. */
  buckets: Bucket[];
  /** Everything that lies in the range was read. */
  complete: boolean;
  /** Length of one bucket. */
  interval_ms: number;
  /** Events in all buckets. */
  total: number;
  /** Parts that could not be read, by name. */
  unreadable?: string[];
};

/** One event as searches give it. */
export type Hit = {
  /** The kind of log. */
  dataset: string;
  /** Dotted path to value. */
  fields: Record<string, unknown>;
  /** The event's id; sorts by time. */
  id: string;
  /** What happened, in words. */
  message: string;
  /** When it was received. */
  observed_at: string;
  /** Its number in the journal. */
  seq: number;
  /** `debug`, `info`, `notice`, `warning`, `error`, `critical`, `alert` or `emergency`. */
  severity: string;
  /** The configured sender. */
  source: string;
  /** When it happened, RFC 3339 in UTC with as many digits as are known. */
  timestamp: string;
};

/** The index in numbers. */
export type IndexDetails = {
  /** Records that are durable and not yet searchable. */
  lag_events: number;
  /** Splits published. */
  splits: number;
  /** The number of the next record that becomes searchable. */
  visible: number;
};

/** What became of a batch, after it is durable. */
export type IngestReceipt = {
  /** Records that became events. */
  accepted: number;
  /** Records that were kept as dead letters. */
  dead_lettered: number;
  /** The batch was stored before under the same key; this is the first answer again. */
  duplicate: boolean;
  errors: RefusedLine[];
  /** Records that did not. */
  rejected: number;
  /** The first number in the journal. */
  seq_first: number;
  /** The last number in the journal. */
  seq_last: number;
};

/** An input in numbers. */
export type InputDetails = {
  /** `file` or `nats`. */
  kind: string;
  /** Bytes (files) or messages (NATS) that it has still to read, as far as it knows. */
  lag: number;
  /** Its name. */
  name: string;
  /** What is wrong with it now; empty when nothing is. */
  problem: string;
  /** Records it made durable since the server started. */
  records: number;
  /** Times it had to begin anew: connections that failed, files that were cut short. */
  restarts: number;
};

/** The journal in numbers. */
export type JournalDetails = {
  /** When a batch is acknowledged: `fsync`, or `unsafe_interval_ms` before it is on the disk. */
  durability: string;
  /** The number of the next record. */
  end: number;
  /** Bytes free on its volume. */
  free_bytes: number;
};

/** How long the first event took, in milliseconds. */
export type Latency = {
  evaluated?: number | null;
  notified?: number | null;
  received?: number | null;
};

/** A letter: an event that also says when it was replayed. */
export type Letter = {
  /** The kind of log. */
  dataset: string;
  /** Dotted path to value. */
  fields: Record<string, unknown>;
  /** The event's id; sorts by time. */
  id: string;
  /** What happened, in words. */
  message: string;
  /** When it was received. */
  observed_at: string;
  /** Its number in the journal. */
  seq: number;
  /** `debug`, `info`, `notice`, `warning`, `error`, `critical`, `alert` or `emergency`. */
  severity: string;
  /** The configured sender. */
  source: string;
  /** When it happened, RFC 3339 in UTC with as many digits as are known. */
  timestamp: string;
} & Record<string, unknown> & {
  /** When its record was stored after all; null: it was not. */
  replayed_at?: string | null;
};

/** Which letters. What is left out does not narrow them. */
export type Letters = {
  /** Why they are here, such as `invalid_json`. */
  code?: string | null;
  /** What `next` of the page before held. */
  cursor?: string | null;
  /** The first instant. */
  from?: string | null;
  /** Letters wanted: 100 when nothing is said, at most 10,000; of a replay 1,000. */
  limit?: number | null;
  /** A query that they must match too. */
  q?: string | null;
  /** Who sent them. */
  source?: string | null;
  /** The first instant after it. */
  to?: string | null;
};

/** Where to go on from here. */
export type Links = {
  /** The search that shows every event of the alert. */
  search: string;
};

/** Names as a list or with commas between. */
export type Names = string[] | string;

/** Something to write down. */
export type NewNote = {
  /** The text, at most 16 KiB. */
  text: string;
};

/** The policies to set; those of the configuration may stand among them and are left as they are. */
export type NewRetention = {
  policies: Policy[];
};

/** A saved search or dashboard to keep. */
export type NewSavedItem = {
  /** What it is: an object. */
  content: unknown;
  /** What to call it: 1 to 200 characters. */
  name: string;
  /** Whether everybody sees it. */
  shared?: boolean;
};

/** A secret for an authenticator app, shown this once; it counts once it is confirmed. */
export type NewSecondFactor = {
  /** In base 32, to be typed. */
  secret: string;
  /** The same for apps that take a link. */
  url: string;
};

/** A silence to begin. */
export type NewSilence = {
  /** When it ends, at most 90 days from now; two hours from now when neither is said. */
  ends_at?: string | null;
  /** A value of the alert's entity or group, such as an address. */
  entity?: string | null;
  /** How long from now, such as `2h`; instead of `ends_at`. */
  lasts?: string | null;
  /** Why: 1 to 1,000 bytes. */
  reason: string;
  /** A rule's id. */
  rule_id?: string | null;
};

/** A token to make. */
export type NewToken = {
  /** How long it counts, such as `90d`, `12h`; a year when nothing is said, at most that. */
  expires?: string | null;
  /** A query that every event it sees must match. */
  filter?: string | null;
  /** Its name: 1 to 128 letters, digits, `-`, `.`, `_` and `@`. */
  name: string;
  /** `ingest`, `reader`, `analyst`, `admin` or `metrics`. */
  role: string;
  /** The source it writes as, or the only one it sees. */
  source?: string | null;
};

/** An account to make. */
export type NewUser = {
  /** The name to sign in with: 1 to 128 letters, digits, `-`, `.`, `_` and `@`. */
  name: string;
  /** The password, at least 12 characters. */
  password: string;
  /** `reader`, `analyst` or `admin`. */
  role: string;
};

/** Something somebody wrote down. */
export type Note = {
  actor?: string | null;
  at: string;
  id: string;
  text: string;
};

/** Nothing to say: `{}`. */
export type Nothing = Record<string, unknown>;

/** Somebody who can be told. */
export type Notifier = {
  id: string;
  /** `email` or `webhook`. */
  kind: string;
  name: string;
  /** `ok` or `failing`. */
  state: string;
  /** Where it sends to, without secrets. */
  target: string;
};

/** Another password. */
export type PasswordChange = {
  /** The present one. */
  current: string;
  /** The new one, at least 12 characters. */
  password: string;
};

/** How long some datasets are kept; the first that matches a dataset governs it. */
export type Policy = {
  /** Bytes on disk of all datasets it governs together; null: no bound. */
  bytes_max?: number | null;
  /** The datasets: a name, with `*` for any letters. */
  dataset: string;
  /** Days after an event was received; null: for ever. */
  keep_days?: number | null;
  /** `configuration` for those of the file, which come first and are changed there; else `api`. */
  origin?: string | null;
};

/** The present password. */
export type PresentPassword = {
  current: string;
};

/** Why a letter still is no record. */
export type Problem = {
  /** The letter. */
  id: string;
  /** What is wrong. */
  reason: string;
};

/** Why an alert was opened. */
export type Reason = {
  group: Record<string, string>;
  observed: number;
  series: SeriesPoint[];
  text: string;
  threshold: number;
  /** What is usual, from and to, where the rule learns it. */
  usual?: number[] | null;
  window_secs: number;
};

/** Why one line became no event. */
export type RefusedLine = {
  /** A word for programs, such as `invalid_json`. */
  code: string;
  /** From 1 on. */
  line: number;
  reason: string;
};

/** Another alert about one of the same entities. */
export type Related = {
  id: string;
  opened_at: string;
  severity: string;
  state: string;
  title: string;
};

/** What became of the letters of one page. */
export type Replays = {
  /** Events that they became. */
  events: number;
  /** Letters that were looked at. */
  letters: number;
  /** Hand it back as `cursor` for the next page; null on the last one. */
  next?: string | null;
  /** Letters of which only the beginning was kept, or that are no refused record. */
  not_replayable: number;
  /** What is wrong with the first hundred that still are bad. */
  problems: Problem[];
  /** Letters whose record was stored now. */
  replayed: number;
  /** Letters that were replayed before. */
  replayed_before: number;
  /** Letters that still are no record. */
  still_bad: number;
  /** Letters whose replay was cut off so long ago that nobody knows whether it was stored. */
  unsettled: number;
};

/** Why an alert is done with. */
export type Resolving = {
  /** In words. */
  note?: string | null;
  /** `true_positive`, `benign`, `false_positive`, `duplicate` or `other`. */
  reason: string;
};

/** Retention as it is, and what it would remove now. */
export type Retention = {
  /** Until when no more is removed than by the policies before the last change. */
  change_waits_until?: string | null;
  /** What is due. */
  due: Amount;
  /** Everything that lies in splits. */
  held: Amount;
  /** In the order in which they are asked. */
  policies: Policy[];
  /** Why it is not removed before it is confirmed. */
  refused?: string | null;
};

/** Which alerts go to whom. */
export type Route = {
  /** Names of notifiers. */
  notify: string[];
  /** Names or ids of rules; empty: every rule. */
  rules: string[];
  /** Milder alerts do not take this route; null: every level does. */
  severity_min?: string | null;
};

/** A rule as lists show it. */
export type Rule = {
  /** ATT&CK techniques and tactics, such as `T1110`. */
  attack: string[];
  /** The file it stands in. */
  file: string;
  id: string;
  /** `sigma`, `correlation` or `detector`. */
  kind: string;
  /** `informational`, `low`, `medium`, `high` or `critical`. */
  level: string;
  name: string;
  problems: RuleProblem[];
  /** `enabled`, `testing` or `disabled`. */
  state: string;
  title: string;
  /** The kind of correlation, or the kind of rule where it is none. */
  type: string;
};

/** One match. */
export type RuleMatch = {
  /** Which of the records, from 0 on. */
  event_index: number;
  rule_id: string;
};

/** Something wrong with a rule. */
export type RuleProblem = {
  /** From 1 on, in characters. */
  column: number;
  file: string;
  /** From 1 on. */
  line: number;
  message: string;
};

/** Rules and records to run them over. */
export type RuleTrial = {
  /** Raw records, as a sender would send them; at most 10,000. */
  events: string[];
  /** The rules, as YAML. */
  rules: string;
};

/** What running rules over records found. */
export type RuleTrialResult = {
  matches: RuleMatch[];
  problems: RuleProblem[];
};

/** A saved search or dashboard. */
export type SavedItem = {
  /** What it is; only the dashboard knows what that means. */
  content: unknown;
  /** Its id. */
  id: string;
  /** What its owner calls it. */
  name: string;
  /** Whose it is. */
  owner: string;
  /** Whether everybody sees it. */
  shared: boolean;
  /** When it was last changed. */
  updated_at: string;
};

/** What to search for; the same as the parameters of GET. */
export type SearchBody = {
  /** What `next` of the answer before held. */
  cursor?: string | null;
  fields?: Names | null;
  from?: Word | null;
  /** Hits wanted: 100 when nothing is said, 0 for the count alone, at most 10,000. */
  limit?: number | null;
  /** The query; empty or `*` finds everything. */
  q?: string | null;
  /** A field, with `-` in front for the greatest first; `-timestamp` when nothing is said. */
  sort?: string | null;
  to?: Word | null;
};

/** What was found: hits, or `columns` and `rows` when a pipe aggregates. */
export type SearchResult = {
  columns?: Column[] | null;
  /** Everything that lies in the range was read. */
  complete: boolean;
  hits?: Hit[] | null;
  /** Hand it back as `cursor` for the next hits; null when these are the last. */
  next?: string | null;
  rows?: unknown[][] | null;
  splits: Splits;
  took_ms: number;
  /** Events that satisfy the condition; exact when `complete` is true. */
  total: number;
  /** Parts that could not be read, by name. */
  unreadable?: string[] | null;
};

/** Whether signing in needs a code. */
export type SecondFactor = {
  enabled: boolean;
};

/** Events in one minute. */
export type SeriesPoint = {
  count: number;
  timestamp: string;
};

/** Who is signed in. */
export type Session = {
  /** `user` or `token`. */
  kind: string;
  /** The name of the user or token. */
  name: string;
  /** `ingest`, `reader`, `analyst`, `admin` or `metrics`. */
  role: string;
  /** The IANA time zone the user chose; null: that of the browser. */
  time_zone?: string | null;
};

/** Whether anybody can sign in yet. */
export type SetupState = {
  /** There is no administrator yet. */
  needed: boolean;
};

/** Where somebody is signed in. */
export type SignedInAt = {
  /** When it began. */
  created_at: string;
  /** Whether this answer was asked for with it. */
  current: boolean;
  /** Names it among one's own. */
  id: string;
  /** When it was last used. */
  used_at: string;
};

/** A time span in which some alerts notify nobody. */
export type Silence = {
  /** Whether it is in force. */
  active: boolean;
  /** Who made it. */
  author: string;
  created_at: string;
  /** Who ended it before its time. */
  ended_by?: string | null;
  /** When it ends or ended. */
  ends_at: string;
  /** Mutes alerts about this value; null: about any. */
  entity?: string | null;
  id: string;
  /** Why. */
  reason: string;
  /** Mutes alerts of this rule; null: of any. */
  rule_id?: string | null;
};

/** Which alerts to mute: those of the rule, about the entity, or both. */
export type SilenceScope = {
  /** A value of the alert's entity or group, such as an address. */
  entity?: string | null;
  /** A rule's id. */
  rule_id?: string | null;
};

/** One event with everything that is known of it. */
export type SingleEvent = {
  /** The kind of log. */
  dataset: string;
  /** Dotted path to value. */
  fields: Record<string, unknown>;
  /** The event's id; sorts by time. */
  id: string;
  /** What happened, in words. */
  message: string;
  /** When it was received. */
  observed_at: string;
  /** Its number in the journal. */
  seq: number;
  /** `debug`, `info`, `notice`, `warning`, `error`, `critical`, `alert` or `emergency`. */
  severity: string;
  /** The configured sender. */
  source: string;
  /** When it happened, RFC 3339 in UTC with as many digits as are known. */
  timestamp: string;
} & Record<string, unknown> & {
  /** Field to the name the sender gave it, where that differs. */
  aliases: Record<string, string>;
  /** Logsource tuples, each `product/category/service`. */
  class: string[];
  /** The record as text; what is no UTF-8 is replaced. */
  raw: string;
  /** The record's bytes in base 64. */
  raw_base64: string;
};

/** A rule with its text. */
export type SingleRule = Rule & {
  /** What it looks for, in words. */
  description: string;
  /** Whether the text can be replaced here; files of the configuration are changed where they are. */
  editable: boolean;
  /** The YAML it stands in. */
  text: string;
};

/** A sender. */
export type Source = {
  /** Its events that are kept. */
  events: number;
  health?: SourceHealth | null;
  /** The time of its newest event. */
  last_event_at?: string | null;
  /** When that was received. */
  last_received_at?: string | null;
  /** Its name, from the token or listener. */
  name: string;
};

/** Records of a sender that could not become events, for one reason. */
export type SourceFailures = {
  /** How many. */
  count: number;
  /** What was wrong with the last one. */
  example: string;
  /** When that came. */
  last_at: string;
};

/** A field of a sender's events. */
export type SourceField = {
  /** When it was seen first. */
  first_seen_at: string;
  /** `text`, `number`, `bool`, `ip`, `time`, `object`. */
  kinds: string[];
  /** When it was seen last. */
  last_seen_at: string;
  /** Its name. */
  name: string;
  /** The part of the events that have it, 0 to 1, by samples. */
  share: number;
};

/** How a sender is. Counts are since it was first seen, also over restarts. */
export type SourceHealth = {
  /** Their bytes. */
  bytes: number;
  /**
   * The smallest difference between our time and its events' in the last minutes; negative: its
   * clock is ahead of ours.
   */
  clock_skew_ms?: number | null;
  /** Records, good and bad. */
  events: number;
  /** Events per second over the last minute or so. */
  events_per_sec: number;
  /** Events per second over the last day or so. */
  events_per_sec_usual: number;
  /** What could not be read, by reason. */
  failures: Record<string, SourceFailures>;
  /** Every field, at most 256; only of a single source. */
  fields?: SourceField[];
  /** Sightings of fields beyond those. */
  fields_beyond: number;
  /** Names of fields that most of its events had and none has any more. */
  fields_gone: string[];
  /** Names of fields that are new since the source is known. */
  fields_new: string[];
  /** Names of fields that have values of another kind than before. */
  fields_retyped: string[];
  /** When its first record came. */
  first_received_at?: string | null;
  /** When its last record came. */
  last_received_at?: string | null;
  /** Seconds since then, without those in which the server did not run. */
  quiet_secs: number;
  /** How much of its quota it uses. */
  quota: SourceQuota;
  /** Records that could not become events. */
  rejected: number;
  /** Seconds after which it is said to be silent; null: never. */
  silent_after_secs?: number | null;
  /** `active`, `silent` or `never_seen`. */
  state: string;
};

/** What a sender may send, and what it has. */
export type SourceQuota = {
  /** Bytes of records per day in UTC. */
  bytes_per_day_max?: number | null;
  /** Bytes of records per second. */
  bytes_per_sec_max?: number | null;
  /** Bytes of records today. */
  bytes_today: number;
  /** Events per second; null: any number. */
  events_per_sec_max?: number | null;
  /** Times it was told to wait since the server started. */
  refused: number;
};

/** How many parts of the index were read. */
export type Splits = {
  /** To be read. */
  of: number;
  /** Read to the end. */
  read: number;
};

/** How a test went. */
export type TestResult = {
  /** What the receiver said, or why there was no answer. */
  answer: string;
  ok: boolean;
};

/** A token, without what it is made of. */
export type Token = {
  /** When it was made. */
  created_at: string;
  /** When it ends. */
  expires_at?: string | null;
  /** A query that every event it sees must match. */
  filter?: string | null;
  /** When it was last used, to about a minute. */
  last_used_at?: string | null;
  /** Its name. */
  name: string;
  /** Whether it was revoked. */
  revoked: boolean;
  /** `ingest`, `reader`, `analyst`, `admin` or `metrics`. */
  role: string;
  /** The source it writes as, or the only one it sees. */
  source?: string | null;
};

/** A local account. */
export type User = {
  /** When it was made. */
  created_at: string;
  /** The name to sign in with. */
  name: string;
  /** `reader`, `analyst` or `admin`. */
  role: string;
  /** Whether signing in needs a code besides the password. */
  second_factor: boolean;
};

/** What changes of an account; what is left out stays. Its sessions end. */
export type UserChange = {
  /** The new password. */
  password?: string | null;
  /** The new role. */
  role?: string | null;
};

/** A time or a number, as a query string or JSON gives it. */
export type Word = string | number;
