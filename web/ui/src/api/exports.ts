// Exports that the server writes to a file in the background.
import { path_with, request, send } from './client';
import { export_body, type ExportFormat, type Scope } from './search';
import type { ExportItem, Page } from './types';

const one = (id: string) => `/exports/${encodeURIComponent(id)}`;

export const list_exports = (): Promise<Page<ExportItem>> => request('GET', '/exports');
export const remove_export = (id: string): Promise<Response> => send('DELETE', one(id));

/** Begins to write everything that matches. */
export function begin_export(scope: Scope, format: ExportFormat, columns: string[]): Promise<ExportItem> {
  return request('POST', '/exports', { body: export_body(scope, format, columns) });
}

/** Where a browser fetches the file, and what says what is in it. */
export const file_href = (id: string): string => path_with(`${one(id)}/file`);
export const header_href = (id: string): string => path_with(`${one(id)}/header`);
