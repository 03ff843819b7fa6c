// Rules: one with its text, checking, trying over the past, writing.
import { request, send } from './client';
import type { Backtest, CheckedRules, Page, RuleCoverage, RuleDetail, RuleImport } from './types';

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

/** Runs rules over the events of a range as the detector would; tells nobody. */
export const backtest = (text: string, replaces: string | null, from: string, to: string, signal: AbortSignal): Promise<Backtest> =>
  request('POST', '/rules/backtest', { body: { rules: text, replaces, from, to }, signal });

export type RuleOrigin = 'sigma' | 'elastalert' | 'wazuh';

/** Takes the rules of a file, each as testing. */
export const import_rules = (from: RuleOrigin, name: string, text: string): Promise<RuleImport> =>
  request('POST', '/rules/import', { query: { from, name }, yaml: text });
