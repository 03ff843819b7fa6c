// Puts `x.js.br` and `x.js.gz` beside each built `x.js`, so that the server compresses nothing.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const DIR = 'dist/assets';
/** Below this a file is not worth compressing. */
const BYTES_MIN = 1024;
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };

for (const name of readdirSync(DIR)) {
  const plain = readFileSync(join(DIR, name));
  if (plain.length < BYTES_MIN || !/\.(js|css|svg)$/.test(name)) continue;
  writeFileSync(join(DIR, `${name}.gz`), gzipSync(plain, { level: 9 }));
  writeFileSync(join(DIR, `${name}.br`), brotliCompressSync(plain, BROTLI));
}
