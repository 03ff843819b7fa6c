// The kinds of entities: what is asked about each, and which values stand beside it as peers.

export interface EntityKind {
  id: string;
  name: string;
  many: string;
  /** Fields whose values are such entities; the first one names them. */
  fields: string[];
  /** What it meets: label and field. */
  peers: [string, string][];
}

export const KINDS: EntityKind[] = [
  {
    id: 'user',
    name: 'User',
    many: 'Users',
    fields: ['user.name', 'user.target.name'],
    peers: [['Addresses', 'source.ip'], ['Hosts', 'host.name'], ['Actions', 'event.action']],
  },
  {
    id: 'ip',
    name: 'Address',
    many: 'Addresses',
    fields: ['source.ip', 'destination.ip', 'client.ip'],
    peers: [['Users', 'user.name'], ['Hosts', 'host.name'], ['Actions', 'event.action']],
  },
  {
    id: 'host',
    name: 'Host',
    many: 'Hosts',
    fields: ['host.name'],
    peers: [['Users', 'user.name'], ['Addresses', 'source.ip'], ['Programs', 'process.name']],
  },
];

const quoted = (value: string) => `"${value.replace(/[\\"]/g, '\\$&')}"`;

/** The query for everything about one entity. */
export function entity_query(kind: EntityKind, value: string): string {
  const parts = kind.fields.map((field) => `${field}:${quoted(value)}`);
  return parts.length === 1 ? (parts[0] ?? '*') : `(${parts.join(' OR ')})`;
}

export function kind_of_field(field: string): EntityKind | undefined {
  return KINDS.find(({ fields }) => fields.includes(field));
}

export function entity_href(kind: string, value: string): string {
  return `/entities/${encodeURIComponent(kind)}/${encodeURIComponent(value)}`;
}
