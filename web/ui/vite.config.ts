// How the dashboard is built: one page, hashed assets, nothing inline, nothing remote.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // `light-dark()` is used as it is: browsers of 2024 and later know it.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The content security policy forbids inline scripts and data: fonts; keep every asset a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // What most pages use is one file: each small one would cost more in headers than in script.
        codeSplitting: { groups: [{ name: 'shared', test: /\/src\/(api|components|shell|search|entities|alerts)\//, minShareCount: 6 }] },
      },
    },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:7514' } },
});
