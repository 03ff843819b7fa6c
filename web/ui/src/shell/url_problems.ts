// What is broken in the URL of a page, beside what its view checks itself: said by the frame, never passed over.
import { ALL_TIME, instant_ms, PRESETS } from './time.svelte';

interface Check {
  name: string;
  is_sound: (value: string) => boolean;
  /** What is done instead. */
  instead: string;
}

const one_of = (name: string, values: readonly string[], instead: string): Check => ({
  name,
  is_sound: (value) => values.includes(value),
  instead,
});
const flag = (name: string, instead: string): Check => one_of(name, ['1'], instead);

const SPANS = PRESETS.map(([from]) => from);
const SHORTER_SPANS = SPANS.filter((from) => from !== ALL_TIME);
const PANEL: Check = { name: 'panel', is_sound: (value) => value.split(',').every((part) => part === 'json' || part === 'raw'), instead: 'nothing more is unfolded' };
const LEVELS = ['critical', 'high', 'medium', 'low', 'informational'];

const PAGES: [RegExp, Check[]][] = [
  [/^\/search$/, [flag('live', 'live tail is off'), PANEL]],
  [/^\/search\/context\//, [one_of('by', ['source', 'host.name', 'session.id'], 'events of the same source are shown'), PANEL]],
  [/^\/alerts$/, [one_of('group', ['entity', 'rule', 'severity'], 'nothing is grouped')]],
  [/^\/alerts\/[^/]+$/, [flag('silence', 'no silence is drafted'), PANEL]],
  [/^\/rules$/, [one_of('level', LEVELS, 'all are shown'), one_of('state', ['enabled', 'testing', 'disabled'], 'all are shown')]],
  [/^\/rules\/(?!coverage$)[^/]+$/, [one_of('tab', ['form', 'yaml'], 'the YAML is shown')]],
  [/^\/notifications$/, [one_of('state', ['pending', 'sent', 'failed', 'limited', 'silenced'], 'all are shown')]],
  [/^\/sources$/, [flag('add', 'no source is added')]],
  [/^\/entities$/, [one_of('kind', ['user', 'ip', 'host'], 'users are shown'), one_of('from', SPANS, 'the last 24 hours are shown')]],
  [/^\/entities\/[^/]+\/[^/]+$/, [one_of('from', SHORTER_SPANS, 'the last 7 days are shown')]],
  [/^\/dashboards\/[^/]+$/, [one_of('from', SHORTER_SPANS, 'the range of the dashboard is shown'), flag('edit', 'nothing is edited')]],
  [/^\/admin\/audit$/, [{ name: 'from', is_sound: (value) => value === ALL_TIME || instant_ms(value, 0) !== null, instead: 'the last 24 hours are shown' }]],
];

/** What is broken in `url`, each in words with what is done instead. */
export function url_problems(url: URL): string[] {
  const checks = PAGES.find(([path]) => path.test(url.pathname))?.[1] ?? [];
  return checks.flatMap(({ name, is_sound, instead }) => {
    const value = url.searchParams.get(name);
    return value && !is_sound(value) ? [`${name}=${value} is unknown; ${instead}`] : [];
  });
}
