// What each kind of notifier is told, for its form: docs/CONFIGURATION.md in fields.

export interface Field {
  name: string;
  label: string;
  type: 'text' | 'secret' | 'list' | 'number' | 'flag' | 'choice';
  required?: boolean;
  placeholder?: string;
  help?: string;
  /** Of a `choice`; the first one is meant when nothing is said. */
  choices?: string[];
}

export type Settings = Record<string, unknown>;
/** A form's values: flags as they are, everything else as text. */
export type Values = Record<string, string | boolean>;

const OFTEN: Field[] = [
  { name: 'per_hour_max', label: 'Most per hour', type: 'number', help: 'Further ones are held back and counted in the next.' },
  { name: 'heartbeat_mins', label: 'Sign of life, every so many minutes', type: 'number', help: 'So that silence is noticed; empty for none.' },
];
const NETWORKS: Field = { name: 'allow_networks', label: 'Private networks it may lie in', type: 'list', placeholder: '10.0.0.0/8' };
const POSTED: Field[] = [
  { name: 'allow_http', label: 'Plain http:// may be used', type: 'flag' },
  NETWORKS,
  ...OFTEN,
];
const ADDRESS_HELP = 'An address that is a password may be a reference: file:secrets/NAME or env:LOGWARDEN_NAME.';

const incoming = (name: string): Field[] => [
  { name: 'url', label: 'Address of the incoming webhook', type: 'text', required: true, placeholder: `file:secrets/${name}`, help: ADDRESS_HELP },
  { name: 'template', label: 'Text', type: 'text', placeholder: '{{ text }} {{ link }}', help: 'Empty for the usual one.' },
  ...POSTED,
];
const own_url = (url: string): Field => ({ name: 'url', label: 'Server', type: 'text', placeholder: url, help: 'Empty for that one.' });
const secret = (name: string, label: string, kind: string): Field => ({ name, label, type: 'secret', required: true, placeholder: `file:secrets/${kind}` });

export const KINDS: Record<string, Field[]> = {
  email: [
    { name: 'smtp', label: 'Mail server', type: 'text', required: true, placeholder: 'smtp.example:587' },
    { name: 'tls', label: 'Protected by', type: 'choice', choices: ['starttls', 'tls', 'none'] },
    { name: 'ca', label: 'Certificates of an authority of your own', type: 'text', placeholder: 'ca.pem', help: 'A file; empty for the system’s.' },
    { name: 'username', label: 'User at the mail server', type: 'text' },
    { name: 'password', label: 'Password at the mail server', type: 'secret', placeholder: 'file:secrets/smtp' },
    { name: 'from', label: 'From', type: 'text', required: true, placeholder: 'logwarden@example.org' },
    { name: 'to', label: 'To', type: 'list', required: true, placeholder: 'oncall@example.org' },
    ...OFTEN,
  ],
  webhook: [
    { name: 'url', label: 'Address', type: 'text', required: true, placeholder: 'https://hooks.example/logwarden', help: ADDRESS_HELP },
    { name: 'secret', label: 'Secret that signs', type: 'secret', placeholder: 'file:secrets/hook' },
    ...POSTED,
  ],
  slack: incoming('slack'),
  teams: incoming('teams'),
  mattermost: incoming('mattermost'),
  discord: incoming('discord'),
  pagerduty: [secret('routing_key', 'Key of the integration', 'pagerduty'), own_url('https://events.pagerduty.com/v2/enqueue'), ...POSTED],
  opsgenie: [secret('api_key', 'Key of the integration', 'opsgenie'), own_url('https://api.opsgenie.com/v2/alerts'), ...POSTED],
  alertmanager: [{ name: 'url', label: 'Address', type: 'text', required: true, placeholder: 'https://alertmanager.example' }, ...POSTED],
  ntfy: [
    { name: 'topic', label: 'Topic', type: 'text', required: true, placeholder: 'logwarden' },
    { name: 'token', label: 'Token', type: 'secret', placeholder: 'file:secrets/ntfy', help: 'Of a server that asks for one.' },
    own_url('https://ntfy.sh/'),
    ...POSTED,
  ],
  telegram: [
    secret('token', 'Token of the bot', 'telegram'),
    { name: 'chat', label: 'Chat', type: 'text', required: true, placeholder: '@oncall', help: 'Its number, or the @name of a channel.' },
    own_url('https://api.telegram.org/'),
    ...POSTED,
  ],
  syslog: [
    { name: 'to', label: 'Collector', type: 'text', required: true, placeholder: 'collector.example:514' },
    { name: 'transport', label: 'Over', type: 'choice', choices: ['tcp', 'udp'] },
    NETWORKS,
    ...OFTEN,
  ],
};

/** What a form shows of settings; what it has no field for is JSON. */
export function values_of(kind: string, settings: Settings): { values: Values; rest: string } {
  const fields = KINDS[kind] ?? [];
  const values: Values = {};
  for (const { name, type, choices } of fields) {
    const value = settings[name];
    if (type === 'flag') values[name] = value === true;
    else if (type === 'list') values[name] = Array.isArray(value) ? value.join(', ') : '';
    else values[name] = value === undefined || value === null ? (choices?.[0] ?? '') : String(value);
  }
  const rest = Object.entries(settings).filter(([name]) => !fields.some((field) => field.name === name));
  return { values, rest: rest.length > 0 ? JSON.stringify(Object.fromEntries(rest), null, 2) : '' };
}

/** The settings that a form says; throws when the rest is not JSON of an object. */
export function settings_of(kind: string, values: Values, rest: string): Settings {
  const parsed: unknown = rest.trim() === '' ? {} : JSON.parse(rest);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new Error('it is no object');
  const settings: Settings = { ...parsed };
  for (const { name, type, choices } of KINDS[kind] ?? []) {
    const value = values[name];
    if (type === 'flag') {
      if (value === true) settings[name] = true;
      continue;
    }
    const text = String(value ?? '').trim();
    if (text === '' || text === choices?.[0]) continue;
    if (type === 'list') settings[name] = text.split(',').map((item) => item.trim()).filter(Boolean);
    else settings[name] = type === 'number' ? Number(text) : text;
  }
  return settings;
}
