// Writes `src/api/schema.ts`, the types of the HTTP API, from the description that the server generates.
// With `--check` it only says whether that file is up to date; the build does so.
import { readFileSync, writeFileSync } from 'node:fs';

const FROM = 'openapi.json';
const TO = 'src/api/schema.ts';
/** An object of at most so many characters stands on one line. */
const SHORT_MAX = 120;

const { components } = JSON.parse(readFileSync(FROM, 'utf8'));

const is_name = (text) => /^[A-Za-z_]\w*$/.test(text);
const type_name = (name) => name.replace(/\W/g, '_');

function type_of(schema, indent) {
  if (!schema || Object.keys(schema).length === 0) return 'unknown';
  if (schema.$ref) return type_name(schema.$ref.split('/').pop());
  const several = schema.oneOf ?? schema.anyOf;
  if (several) return [...new Set(several.map((one) => type_of(one, indent)))].join(' | ');
  if (schema.allOf) return schema.allOf.map((one) => type_of(one, indent)).join(' & ');
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const types = [schema.type].flat().filter(Boolean);
  const named = types.map((type) => single(type, schema, indent));
  return named.length === 0 ? 'unknown' : [...new Set(named)].join(' | ');
}

function single(type, schema, indent) {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'integer':
    case 'number':
      return 'number';
    case 'array': {
      if (schema.prefixItems) return `[${schema.prefixItems.map((one) => type_of(one, indent)).join(', ')}]`;
      const item = type_of(schema.items, indent);
      return /[|&]/.test(item) ? `(${item})[]` : `${item}[]`;
    }
    case 'object':
      return object_of(schema, indent);
    default:
      throw new Error(`unknown type ${type}`);
  }
}

function object_of({ properties, required = [], additionalProperties }, indent) {
  if (!properties) return additionalProperties ? `Record<string, ${type_of(additionalProperties, indent)}>` : 'Record<string, unknown>';
  const inner = `${indent}  `;
  const lines = Object.entries(properties).map(([name, schema]) => {
    const key = is_name(name) ? name : JSON.stringify(name);
    // What each means stands in openapi.json.
    return `${inner}${key}${required.includes(name) ? '' : '?'}: ${type_of(schema, inner)};`;
  });
  const short = `{ ${lines.map((line) => line.trim()).join(' ')} }`;
  return short.length <= SHORT_MAX && !short.includes('\n') ? short : `{\n${lines.join('\n')}\n${indent}}`;
}

function comment(text, indent) {
  const lines = text.replaceAll('*/', '* /').split('\n');
  return lines.length === 1 ? `${indent}/** ${lines[0]} */` : `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */`;
}

const parts = Object.entries(components.schemas)
  // A list of things is `Page` of them.
  .filter(([name]) => !name.startsWith('List_'))
  .sort(([one], [other]) => (one < other ? -1 : 1))
  .map(([name, schema]) => {
    const head = schema.description ? `${comment(schema.description, '')}\n` : '';
    return `${head}export type ${type_name(name)} = ${type_of(schema, '')};\n`;
  });
const text = `// The types of the HTTP API, made from openapi.json by types.mjs (\`npm run types\`). Not edited by hand.\n\n${parts.join('\n')}`;

if (process.argv.includes('--check')) {
  if (readFileSync(TO, 'utf8') !== text) {
    console.error(`${TO} is stale: run \`npm run types\``);
    process.exit(1);
  }
} else writeFileSync(TO, text);
