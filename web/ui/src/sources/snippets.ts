// What to paste into a sender so that it ships here; one text per shipper or logging library.
// The same calls as in docs/send/, with this server's address and the new token filled in.

export interface Place {
  /** As in `https://logs.example:7514`. */
  origin: string;
  host: string;
  port: string;
  is_tls: boolean;
  token: string;
  source: string;
}

export interface Snippet {
  id: string;
  name: string;
  /** Where it goes. */
  where: string;
  text: (place: Place) => string;
}

export function place_of(location: { origin: string; hostname: string; port: string; protocol: string }, token: string, source: string): Place {
  const is_tls = location.protocol === 'https:';
  return { origin: location.origin, host: location.hostname, port: location.port || (is_tls ? '443' : '80'), is_tls, token, source };
}

export const SNIPPETS: Snippet[] = [
  {
    id: 'curl',
    name: 'curl',
    where: 'in a shell',
    text: ({ origin, token }) => `curl -sS ${origin}/api/v1/ingest -H 'Authorization: Bearer ${token}' \\
  -d '{"message":"hello from curl","level":"warn","user":"ann"}'`,
  },
  {
    id: 'winston',
    name: 'winston',
    where: 'where the logger is made',
    text: ({ host, port, is_tls, token, source }) => `const winston = require('winston');
const http = new winston.transports.Http({
  host: '${host}', port: ${port}, path: '/api/v1/ingest',${is_tls ? ' ssl: true,' : ''}
  auth: { bearer: '${token}' },
});
http.on('warn', (problem) => console.error('not sent:', problem.message));
const log = winston.createLogger({ transports: [http], defaultMeta: { service: '${source}' } });
log.warn('hello from winston', { user: 'ann' });`,
  },
  {
    id: 'pino',
    name: 'pino',
    where: 'where the logger is made (npm: pino-elasticsearch)',
    text: ({ origin, token, source }) => `const pino = require('pino');
const stream = require('pino-elasticsearch')({
  index: 'logs-${source}', node: '${origin}', auth: { apiKey: '${token}' },
  esVersion: 8, flushBytes: 10, flushInterval: 300,
});
stream.on('insertError', (problem) => console.error('not sent:', problem));
pino({ base: { service: '${source}' } }, stream).warn({ user: 'ann' }, 'hello from pino');`,
  },
  {
    id: 'python',
    name: 'Python logging',
    where: 'where logging is set up',
    text: ({ host, port, is_tls, token, source }) => `import logging
from logging.handlers import HTTPHandler

handler = HTTPHandler('${host}:${port}', '/api/v1/ingest', method='POST',
                      ${is_tls ? 'secure=True, ' : ''}credentials=('any', '${token}'))
log = logging.getLogger('${source}')
log.addHandler(handler)
log.warning('hello from %s', 'Python', extra={'user': 'ann'})`,
  },
  {
    id: 'rsyslog',
    name: 'rsyslog',
    where: '/etc/rsyslog.d/logwarden.conf (package rsyslog-elasticsearch)',
    text: ({ host, port, is_tls, token, source }) => `module(load="omelasticsearch")
template(name="logwarden" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host.name" name="hostname" format="jsonf")
  property(outname="log.syslog.severity.name" name="syslogseverity-text" format="jsonf")
  property(outname="process.name" name="programname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}
*.* action(type="omelasticsearch" server="${host}" serverport="${port}" usehttps="${is_tls ? 'on' : 'off'}"
  uid="any" pwd="${token}" searchIndex="logs-${source}" searchType="" template="logwarden"
  bulkmode="on" action.resumeRetryCount="-1" queue.type="LinkedList")`,
  },
  {
    id: 'syslog-ng',
    name: 'syslog-ng',
    where: '/etc/syslog-ng/conf.d/logwarden.conf',
    text: ({ origin, token }) => `destination d_logwarden {
  http(
    url("${origin}/api/v1/ingest") method("POST")
    headers("Authorization: Bearer ${token}", "Content-Type: application/x-ndjson")
    body("$(format-json --scope rfc5424 --key ISODATE @timestamp=$ISODATE)")
    batch-lines(500) batch-timeout(1000) delimiter("\\n")
  );
};
log { source(s_src); destination(d_logwarden); };`,
  },
  {
    id: 'fluent-bit',
    name: 'Fluent Bit',
    where: 'fluent-bit.conf',
    text: ({ host, port, is_tls, token }) => `[OUTPUT]
    Name        http
    Match       *
    Host        ${host}
    Port        ${port}
    URI         /api/v1/ingest
    Format      json_lines
    Header      Authorization Bearer ${token}
    Retry_Limit False${is_tls ? '\n    tls         on' : ''}`,
  },
  {
    id: 'vector',
    name: 'Vector',
    where: 'vector.yaml',
    text: ({ origin, token }) => `sinks:
  logwarden:
    type: http
    inputs: ["*"]
    uri: ${origin}/api/v1/ingest
    method: post
    encoding: { codec: json }
    framing: { method: newline_delimited }
    auth: { strategy: bearer, token: "${token}" }`,
  },
  {
    id: 'logstash',
    name: 'Logstash',
    where: 'the pipeline',
    text: ({ origin, token }) => `output {
  http {
    url => "${origin}/api/v1/ingest"
    http_method => "post"
    format => "json_batch"
    headers => { "Authorization" => "Bearer ${token}" }
  }
}`,
  },
  {
    id: 'filebeat',
    name: 'Filebeat',
    where: 'filebeat.yml',
    text: ({ origin, token, source }) => `filebeat.inputs:
  - type: filestream
    id: ${source}
    paths: [/var/log/${source}/*.log]
output.elasticsearch:
  hosts: ["${origin}"]
  username: any
  password: "${token}"
  allow_older_versions: true
setup.ilm.enabled: false
setup.template.enabled: false`,
  },
  {
    id: 'otel',
    name: 'OpenTelemetry Collector',
    where: 'the collector’s configuration',
    text: ({ origin, token }) => `exporters:
  otlphttp:
    logs_endpoint: ${origin}/v1/logs
    headers: { authorization: "Bearer ${token}" }
service:
  pipelines:
    logs: { receivers: [otlp], exporters: [otlphttp] }`,
  },
  {
    id: 'docker',
    name: 'Docker',
    where: 'in a shell (the splunk log driver speaks to the same address)',
    text: ({ origin, token }) => `docker run --log-driver=splunk --log-opt splunk-url=${origin} \\
  --log-opt splunk-token=${token} --log-opt splunk-format=json \\
  --log-opt splunk-verify-connection=false alpine echo hello`,
  },
];
