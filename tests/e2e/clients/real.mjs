// Real clients of JavaScript, as npm has them: each sends the events that stand on standard input.
//
// Arguments: the folder with the clients, the client, and where to find the server (HTTP, TCP and UDP port, token).
// Each event is {text, level, extra}. Ends when the client says that it is done.

import dgram from 'node:dgram';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const [folder, client, http, tcp, udp, token] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const events = JSON.parse(fs.readFileSync(0, 'utf8'));
const host = '127.0.0.1';
const url = `http://${host}:${http}`;
const apiKey = { node: url, auth: { apiKey: token } };
const fail = (problem) => { throw problem; };
// A client that waits in a thread of its own would not keep the process.
setInterval(() => {}, 1000);

/** Logs everything with winston and waits until its transport is done, by its own word or by `done`. */
async function winston(make, done) {
  const { createLogger, format } = require('winston');
  const transport = make(require('winston'));
  for (const name of ['error', 'warn']) {
    transport.on(name, fail);
  }
  const logger = createLogger({ format: format.json(), transports: [transport] });
  for (const { text, level, extra } of events) {
    logger.log({ level, message: text, ...extra });
  }
  if (done) {
    return done(transport, logger);
  }
  logger.end();
  await once(logger, 'finish');
}

/** As many events of this name as there are records. */
async function all(emitter, name) {
  for (let left = events.length; left > 0; left--) {
    await once(emitter, name);
  }
}

const winstonHttp = (more) => winston(
  ({ transports }) => new transports.Http({ host, port: Number(http), path: '/api/v1/ingest', auth: { bearer: token }, ...more }),
  (transport) => (more.batch ? once(transport, 'logged') : all(transport, 'logged')));

const winstonLoki = (json) => winston(
  ({ format }) => new (require('winston-loki'))({
    host: url, basicAuth: `shop:${token}`, labels: { app: 'shop' }, json, batching: true, interval: 1,
    format: format.json(), onConnectionError: fail,
  }),
  (transport) => transport.flush());

async function winstonElasticsearch() {
  const { ElasticsearchTransport } = require('winston-elasticsearch');
  await winston(
    () => new ElasticsearchTransport({ indexPrefix: 'logs-shop', flushInterval: 200, clientOpts: apiKey }),
    async (transport) => {
      // It asks whether somebody is there before it sends.
      await pause(1500);
      await transport.flush();
    });
}

async function winstonSyslog(options, settle = async () => {}) {
  const { createLogger, config, format } = require('winston');
  const { Syslog } = require('winston-syslog');
  const transport = new Syslog({ host, app_name: 'shop', localhost: 'web1', ...options });
  transport.on('error', fail);
  const levels = { info: 'info', warn: 'warning', error: 'error' };
  const logger = createLogger({ levels: config.syslog.levels, format: format.json(), transports: [transport] });
  for (const { text, level, extra } of events) {
    logger.log({ level: levels[level], message: text, ...extra });
  }
  await settle(transport);
  logger.end();
  await once(logger, 'finish');
}

/** Logs everything with pino. */
function log(pino) {
  for (const { text, level, extra } of events) {
    pino[level](extra, text);
  }
}

async function pinoWith(target, options) {
  const pino = require('pino');
  const transport = pino.transport({ target: require.resolve(target), options });
  transport.on('error', fail);
  await once(transport, 'ready');
  log(pino({ base: { service: 'shop' } }, transport));
  // What its thread has begun to send when it ends is not waited for.
  await pause(1500);
  transport.end();
  await once(transport, 'close');
}

async function pinoElasticsearch() {
  const stream = require('pino-elasticsearch')({ index: 'logs-shop', esVersion: 9, flushInterval: 200, ...apiKey });
  stream.on('error', fail).on('insertError', fail);
  log(require('pino')(stream));
  await pause(2500);
}

async function bunyan() {
  const socket = net.connect(Number(tcp), host);
  await once(socket, 'connect');
  const logger = require('bunyan').createLogger({ name: 'shop', streams: [{ type: 'stream', stream: socket, level: 'info' }] });
  log(logger);
  socket.end();
  await once(socket, 'close');
}

async function fluent(eventMode) {
  const { FluentClient } = require('@fluent-org/logger');
  const logger = new FluentClient('shop', { eventMode, socket: { host, port: Number(tcp) }, ack: { ackTimeout: 5000 } });
  const sent = events.map(({ text, level, extra }) => logger.emit('order', { message: text, level, ...extra }));
  await Promise.all(sent);
  await logger.shutdown();
}

async function gelf(adapterName, port) {
  const logger = require('gelf-pro');
  logger.setConfig({ adapterName, adapterOptions: { host, port: Number(port) } });
  for (const { text, level, extra } of events) {
    await promisify((done) => logger[level](text, extra, done))();
  }
}

async function openTelemetry(kind) {
  const exporters = require(`@opentelemetry/exporter-logs-otlp-${kind}`);
  const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
  const numbers = { info: 9, warn: 13, error: 17 };
  let options = { url: `${url}/v1/logs`, headers: { authorization: `Bearer ${token}` } };
  if (kind === 'grpc') {
    const { Metadata } = require('@grpc/grpc-js');
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    options = { url: `http://${host}:${tcp}`, metadata };
  }
  const exporter = new exporters.OTLPLogExporter(options);
  const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
  for (const { text, level, extra } of events) {
    provider.getLogger('shop').emit({ severityNumber: numbers[level], severityText: level, body: text, attributes: extra });
  }
  await provider.shutdown();
}

async function splunk() {
  const { Logger } = require('splunk-logging');
  const logger = new Logger({ token, url, maxBatchCount: events.length });
  logger.error = fail;
  const sent = new Promise((done) => { logger.send = ((send) => (context, back) => send.call(logger, context, back ?? done))(logger.send); });
  for (const { text, level, extra } of events) {
    logger.send({ message: { message: text, ...extra }, severity: level });
  }
  await Promise.race([sent, pause(1500)]);
}

async function bulk(Client, options) {
  const server = new Client(options);
  const datasource = events.map(({ text, level, extra }) => ({ message: text, level, ...extra }));
  const done = await server.helpers.bulk({ datasource, onDocument: () => ({ index: { _index: 'logs' } }), onDrop: fail });
  if (done.successful !== events.length) {
    throw new Error(JSON.stringify(done));
  }
}

const clients = {
  'winston, Http': () => winstonHttp({}),
  'winston, Http in batches': () => winstonHttp({ batch: true, batchCount: events.length }),
  'winston-loki, JSON': () => winstonLoki(true),
  'winston-loki, Protocol Buffers': () => winstonLoki(false),
  'winston-elasticsearch': winstonElasticsearch,
  'winston-syslog over TCP': () => winstonSyslog({ port: tcp, protocol: 'tcp4', type: '5424', eol: '\n' }, () => pause(500)),
  'winston-syslog over UDP': () => winstonSyslog({ port: udp, protocol: 'udp4', type: '5424' }, () => pause(300)),
  'pino-loki': () => pinoWith('pino-loki', { host: url, batching: false, labels: { app: 'shop' }, basicAuth: { username: 'shop', password: token } }),
  'pino-elasticsearch': pinoElasticsearch,
  'pino-socket over TCP': () => pinoWith('pino-socket', { mode: 'tcp', address: host, port: Number(tcp), reconnect: false }),
  'pino-socket over UDP': () => pinoWith('pino-socket', { mode: 'udp', address: host, port: Number(udp) }),
  bunyan,
  '@fluent-org/logger, Message': () => fluent('Message'),
  '@fluent-org/logger, Forward': () => fluent('Forward'),
  '@fluent-org/logger, PackedForward': () => fluent('PackedForward'),
  '@fluent-org/logger, CompressedPackedForward': () => fluent('CompressedPackedForward'),
  'gelf-pro over UDP': () => gelf('udp', udp),
  'gelf-pro over TCP': () => gelf('tcp', tcp),
  'OpenTelemetry, JSON': () => openTelemetry('http'),
  'OpenTelemetry, Protocol Buffers': () => openTelemetry('proto'),
  'OpenTelemetry, gRPC': () => openTelemetry('grpc'),
  'splunk-logging': splunk,
  '@elastic/elasticsearch': () => bulk(require('@elastic/elasticsearch').Client, apiKey),
  '@opensearch-project/opensearch': () => bulk(require('@opensearch-project/opensearch').Client, { node: url, auth: { username: 'shop', password: token } }),
};
await clients[client]();
process.exit(0);
