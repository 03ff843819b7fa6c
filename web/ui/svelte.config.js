// Settings of the Svelte compiler, shared by the build and by svelte-check.
import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** Tables become cards on narrow screens; `display` would drop their roles, so they are said twice. */
const IGNORED = new Set(['a11y_no_redundant_roles']);

export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true, warningFilter: (warning) => !IGNORED.has(warning.code) },
};
