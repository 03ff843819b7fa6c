// Rules: one with its text, checking, trying over the past, writing.
import { ApiError, request, send } from './client';
import { server_events } from './sse';
import type { ApiErrorBody, Backtest, CheckedRules, Page, RuleCoverage, RuleDetail, RuleImport } from './types';

const one = (id: string) => `/rules/${encodeURIComponent(id)}`;

export const get_rule = (id: string): Promise<RuleDetail> => request('GET', one(id));
export const create_rule = (text: string): Promise<RuleDetail> => request('POST', '/rules', { yaml: text });
export const replace_rule = (id: string, text: string): Promise<RuleDetail> => request('PUT', one(id), { yaml: text });
export const remove_rule = (id: string): Promise<Response> => send('DELETE', one(id));

/** Whether each rule can match what was received since `from`. */
export const rule_coverage = (from: string): Promise<Page<RuleCoverage>> => request('GET', '/rules/coverage', { query: { from } });

/** What is wrong with a text beside all rules in use; `replaces` is the id of the rule it is the text of. */
export const check_rule = (text: string, replaces: string | null, signal?: AbortSignal): Promise<CheckedRules> =>
  request('POST', '/rules/check', { query: { beside: 'true', replaces }, yaml: text, ...(signal ? { signal } : {}) });

/** How far a backtest is: events looked at, how many there are, alerts so far. */
export interface BacktestStep {
  events: number;
  of: number;
  alerts: number;
}

/** What a backtest is asked: a rule text, whose text it replaces, another version to compare with, since when. */
export interface BacktestAsked {
  rules: string;
  replaces: string | null;
  against: string | null;
  from: string;
}

/** Runs rules over the events since then as the detector would; tells nobody but `onstep`. */
export async function backtest(
  asked: BacktestAsked,
  onstep: (step: BacktestStep) => void,
  signal: AbortSignal,
): Promise<Backtest> {
  const body = { ...asked, to: 'now' };
  const answer = await send('POST', '/rules/backtest', { body, accept: 'text/event-stream', signal });
  // A text with problems is not run, and that is said at once.
  if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) return (await answer.json()) as Backtest;
  for await (const { event, data } of server_events(answer)) {
    const json: unknown = JSON.parse(data);
    if (event === 'progress') onstep(json as BacktestStep);
    else if (event === 'error') throw new ApiError(200, (json as { error: ApiErrorBody }).error);
    else if (event === 'done') return json as Backtest;
  }
  throw new ApiError(0, { code: 'cut_off', message: 'the connection ended before the backtest was done' });
}

export type RuleOrigin = 'sigma' | 'elastalert' | 'wazuh';

/** Takes the rules of a file, each as testing. */
export const import_rules = (from: RuleOrigin, name: string, text: string): Promise<RuleImport> =>
  request('POST', '/rules/import', { query: { from, name }, yaml: text });
