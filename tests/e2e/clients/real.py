"""Real clients of Python: each sends the events that stand on standard input.

Arguments: the client, and where to find the server (HTTP, TCP and UDP port, token). Each event is
{text, level, extra}. Ends when the client says that it is done.
"""

import json
import logging
import logging.handlers
import socket
import sys
import time

client, http, tcp, udp, token = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
events = json.load(sys.stdin)
LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def log_with(handler, bare=True):
    logger = logging.getLogger("shop")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    for event in events:
        logger.log(LEVELS[event["level"]], "%s", event["text"], extra=None if bare else event["extra"])
    handler.flush()
    handler.close()


def http_handler():
    log_with(logging.handlers.HTTPHandler(
        f"127.0.0.1:{http}", "/api/v1/ingest", method="POST", credentials=("shop", token)))


def syslog_handler(port, kind):
    log_with(logging.handlers.SysLogHandler(("127.0.0.1", port), socktype=kind))


def elastic(bulk, server, **options):
    documents = [{"_index": "logs", "message": e["text"], "level": e["level"], **e["extra"]} for e in events]
    done, errors = bulk(server, documents, **options)
    assert done == len(events) and not errors, errors


def elasticsearch_py():
    from elasticsearch import Elasticsearch, helpers
    server = Elasticsearch(f"http://127.0.0.1:{http}", api_key=token)
    server.info()
    elastic(helpers.bulk, server)


def opensearch_py():
    from opensearchpy import OpenSearch, helpers
    hosts = [{"host": "127.0.0.1", "port": http}]
    elastic(helpers.bulk, OpenSearch(hosts, http_auth=("shop", token), http_compress=True))


def splunk_handler():
    from splunk_handler import SplunkHandler
    handler = SplunkHandler(host="127.0.0.1", port=str(http), token=token, index="main", protocol="http",
                            verify=False, flush_interval=0.1, retry_count=1)
    log_with(handler)
    handler.force_flush()


def loki():
    import logging_loki
    logging_loki.emitter.LokiEmitter.level_tag = "level"
    log_with(logging_loki.LokiHandler(url=f"http://127.0.0.1:{http}/loki/api/v1/push", tags={"app": "shop"},
                                      auth=("shop", token), version="1"))


def otlp(exporter):
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry._logs import LogRecord, SeverityNumber
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    numbers = {"info": SeverityNumber.INFO, "warn": SeverityNumber.WARN, "error": SeverityNumber.ERROR}
    logger = provider.get_logger("shop")
    for event in events:
        logger.emit(LogRecord(timestamp=time.time_ns(), severity_number=numbers[event["level"]],
                              severity_text=event["level"], body=event["text"], attributes=event["extra"]))
    provider.shutdown()


def otlp_http():
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    otlp(OTLPLogExporter(f"http://127.0.0.1:{http}/v1/logs", headers={"authorization": f"Bearer {token}"}))


def otlp_grpc():
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    otlp(OTLPLogExporter(f"127.0.0.1:{tcp}", insecure=True, headers=(("authorization", f"Bearer {token}"),)))


def graypy_with(name, port):
    import graypy
    log_with(getattr(graypy, name)("127.0.0.1", port), bare=False)


def fluent():
    from fluent import sender
    logger = sender.FluentSender("shop", host="127.0.0.1", port=tcp, nanosecond_precision=True)
    for event in events:
        sent = logger.emit("order", {"message": event["text"], "level": event["level"], **event["extra"]})
        assert sent, logger.last_error
    logger.close()


def logstash(name):
    import logstash_async.transport as transports
    from logstash_async.formatter import LogstashFormatter
    transport = getattr(transports, name)("127.0.0.1", tcp, timeout=30, ssl_enable=False, ssl_verify=False,
                                          ssl_verify_flags=None,
                                          keyfile=None, certfile=None, ca_certs=None)
    formatter = LogstashFormatter()
    lines = []
    for event in events:
        record = logging.LogRecord("shop", LEVELS[event["level"]], "/app/pay.py", 1, event["text"], None, None)
        record.__dict__.update(event["extra"])
        line = formatter.format(record)
        # As its handler does.
        lines.append((line if isinstance(line, bytes) else line.encode()) + b"\n")
    transport.send(lines)
    transport.close()


CLIENTS = {
    "HTTPHandler": http_handler,
    "SysLogHandler over TCP": lambda: syslog_handler(tcp, socket.SOCK_STREAM),
    "SysLogHandler over UDP": lambda: syslog_handler(udp, socket.SOCK_DGRAM),
    "elasticsearch": elasticsearch_py,
    "opensearch-py": opensearch_py,
    "splunk-handler": splunk_handler,
    "python-logging-loki": loki,
    "OpenTelemetry over HTTP": otlp_http,
    "OpenTelemetry over gRPC": otlp_grpc,
    "graypy over UDP": lambda: graypy_with("GELFUDPHandler", udp),
    "graypy over TCP": lambda: graypy_with("GELFTCPHandler", tcp),
    "fluent-logger": fluent,
    "python-logstash-async, Beats": lambda: logstash("BeatsTransport"),
    "python-logstash-async, TCP": lambda: logstash("TcpTransport"),
}
CLIENTS[client]()
