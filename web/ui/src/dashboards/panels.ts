// What a dashboard is made of, the ready-made ones, and how a panel asks for its data.

export type PanelKind = 'number' | 'chart' | 'top' | 'table';

export interface Panel {
  title: string;
  kind: PanelKind;
  q: string;
  /** `chart`: split by; `top`: the field counted; `table`: columns with commas between. */
  field: string;
  /** Over the full width. */
  wide: boolean;
}

export interface DashboardContent {
  from: string;
  panels: Panel[];
}

export const PANELS_MAX = 24;
export const PANEL_KINDS: [PanelKind, string][] = [
  ['number', 'A number: how many events'],
  ['chart', 'Events over time'],
  ['top', 'The commonest values of a field'],
  ['table', 'The newest events'],
];

export const EMPTY_PANEL: Panel = { title: '', kind: 'chart', q: '*', field: '', wide: false };

export interface ReadyMade {
  id: string;
  name: string;
  about: string;
  content: DashboardContent;
}

const panel = (title: string, kind: PanelKind, q: string, field = '', wide = false): Panel => ({ title, kind, q, field, wide });

/** One per kind of source that the program knows by itself. */
export const READY_MADE: ReadyMade[] = [
  {
    id: 'ready-everything',
    name: 'All sources',
    about: 'What comes in, from whom, and how bad it is',
    content: {
      from: 'now-24h',
      panels: [
        panel('Events', 'number', '*'),
        panel('Errors and worse', 'number', 'severity:(error OR critical OR alert OR emergency)'),
        panel('Events by source', 'chart', '*', 'lw.source', true),
        panel('Sources', 'top', '*', 'lw.source'),
        panel('Datasets', 'top', '*', 'dataset'),
        panel('Newest errors', 'table', 'severity:(error OR critical OR alert OR emergency)', 'timestamp,lw.source,message', true),
      ],
    },
  },
  {
    id: 'ready-logins',
    name: 'Logins',
    about: 'Who signed in, who could not, and from where',
    content: {
      from: 'now-24h',
      panels: [
        panel('Failed logins', 'number', 'event.category:authentication AND event.outcome:failure'),
        panel('Successful logins', 'number', 'event.category:authentication AND event.outcome:success'),
        panel('Logins by outcome', 'chart', 'event.category:authentication', 'event.outcome', true),
        panel('Addresses that failed', 'top', 'event.category:authentication AND event.outcome:failure', 'source.ip'),
        panel('Users that failed', 'top', 'event.category:authentication AND event.outcome:failure', 'user.name'),
        panel('Newest failures', 'table', 'event.category:authentication AND event.outcome:failure', 'timestamp,user.name,source.ip,message', true),
      ],
    },
  },
  {
    id: 'ready-web',
    name: 'Web requests',
    about: 'Requests by status, address and path',
    content: {
      from: 'now-24h',
      panels: [
        panel('Requests', 'number', 'http.response.status_code:*'),
        panel('Server errors', 'number', 'http.response.status_code:>=500'),
        panel('Requests by status', 'chart', 'http.response.status_code:*', 'http.response.status_code', true),
        panel('Paths', 'top', 'http.response.status_code:*', 'url.path'),
        panel('Addresses', 'top', 'http.response.status_code:*', 'source.ip'),
        panel('Newest server errors', 'table', 'http.response.status_code:>=500', 'timestamp,http.request.method,url.path,http.response.status_code', true),
      ],
    },
  },
  {
    id: 'ready-hosts',
    name: 'Hosts',
    about: 'What programs on which hosts say',
    content: {
      from: 'now-24h',
      panels: [
        panel('Events of hosts', 'number', 'host.name:*'),
        panel('Events by host', 'chart', 'host.name:*', 'host.name', true),
        panel('Hosts', 'top', 'host.name:*', 'host.name'),
        panel('Programs', 'top', 'process.name:*', 'process.name'),
      ],
    },
  },
  {
    id: 'ready-kubernetes',
    name: 'Kubernetes',
    about: 'Who does what to which objects of a cluster',
    content: {
      from: 'now-24h',
      panels: [
        panel('Requests', 'number', 'objectRef.resource:*'),
        panel('Shells in containers', 'number', 'objectRef.resource:pods AND objectRef.subresource:(exec OR attach)'),
        panel('Requests by verb', 'chart', 'objectRef.resource:*', 'verb', true),
        panel('Objects', 'top', 'objectRef.resource:*', 'objectRef.resource'),
        panel('Users', 'top', 'objectRef.resource:*', 'user.name'),
        panel('Newest changes of permissions', 'table', 'objectRef.resource:(roles OR rolebindings OR clusterroles OR clusterrolebindings) AND NOT verb:(get OR list OR watch)', 'timestamp,user.name,verb,objectRef.resource,objectRef.name', true),
      ],
    },
  },
  {
    id: 'ready-identity',
    name: 'Identity and cloud',
    about: 'Accounts, roles and keys, and what is done with them',
    content: {
      from: 'now-24h',
      panels: [
        panel('Changes of accounts and roles', 'number', 'event.category:iam'),
        panel('Actions', 'top', 'event.category:iam', 'event.action'),
        panel('Changes by outcome', 'chart', 'event.category:iam', 'event.outcome', true),
        panel('Who makes them', 'top', 'event.category:iam', 'user.name'),
        panel('Countries of logins', 'top', 'event.category:authentication AND event.outcome:success', 'source.geo.country_iso_code'),
        panel('Newest changes', 'table', 'event.category:iam', 'timestamp,user.name,event.action,event.outcome,message', true),
      ],
    },
  },
  {
    id: 'ready-data',
    name: 'Databases and networks',
    about: 'Rows that are read, names that are asked for, and what leaves',
    content: {
      from: 'now-24h',
      panels: [
        panel('Statements', 'number', 'event.category:database OR db.response.returned_rows:*'),
        panel('Statements over time', 'chart', 'event.category:database OR db.response.returned_rows:*', 'user.name', true),
        panel('Accounts', 'top', 'event.category:database OR db.response.returned_rows:*', 'user.name'),
        panel('Names asked for', 'top', 'dns.question.name:*', 'dns.question.name'),
        panel('Destinations', 'top', 'destination.ip:*', 'destination.ip'),
        panel('Newest large reads', 'table', 'db.response.returned_rows:>=1000', 'timestamp,user.name,db.response.returned_rows,message', true),
      ],
    },
  },
];
