//! What clients post, head and body, as it was recorded from them; `TOKEN` stands for their own.

use serde_json::{Value, json};

use super::encode::{base64, form, gzip, number, part, snappy, zlib};
use super::events::{Event, SECONDS, Says};
use super::{Recording, Send};

const JSON: &str = "Content-Type: application/json";
const BEARER: &str = "Authorization: Bearer TOKEN";
const INGEST: &str = "POST /api/v1/ingest";
const ELASTIC_9: &str = "Accept: application/vnd.elasticsearch+json; compatible-with=9
Content-Type: application/vnd.elasticsearch+x-ndjson; compatible-with=9
Authorization: ApiKey TOKEN";

fn post(head: &str, lines: &[&str], body: impl Into<Vec<u8>>) -> Send {
    let mut head = head.to_owned();
    for line in lines.iter().flat_map(|lines| lines.lines()) {
        head.push('\n');
        head.push_str(line);
    }
    Send::Http { head, body: body.into(), answer: "" }
}

/// The same when the client looks for something in the answer.
fn ask(head: &str, lines: &[&str], body: impl Into<Vec<u8>>, looks_for: &'static str) -> Send {
    match post(head, lines, body) {
        Send::Http { head, body, .. } => Send::Http { head, body, answer: looks_for },
        other => other,
    }
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| format!("{value}\n")).collect()
}

/// `action` before each document.
fn bulk(events: &[Event], action: &str, document: impl Fn(&Event) -> Value) -> String {
    events.iter().map(|event| format!("{action}\n{}\n", document(event))).collect()
}

fn beats(event: &Event) -> Value {
    let mut document = event.object("message", "log.level", "@timestamp");
    document["host"] = json!({"name": "web1"});
    document["agent"] = json!({"type": "filebeat", "version": "8.19.0"});
    document["log"] = json!({"offset": 7, "file": {"path": "/var/log/shop.log"}});
    document
}

fn log4j2(event: &Event) -> Value {
    let level = event.level.to_uppercase();
    let context: serde_json::Map<_, _> = event
        .extra
        .iter()
        .map(|(key, value)| (key.clone(), Value::String(value.to_string())))
        .collect();
    json!({"instant": {"epochSecond": SECONDS, "nanoOfSecond": 961_000_000}, "thread": "main",
        "level": level, "loggerName": "shop.Pay", "message": event.text, "endOfBatch": false,
        "contextMap": context, "threadId": 1, "threadPriority": 5})
}

fn pino(event: &Event) -> Value {
    let mut record = event.object("msg", "", "time");
    record["level"] = json!(match event.level {
        "error" => 50,
        "warn" => 40,
        _ => 30,
    });
    record["pid"] = json!(42);
    record["hostname"] = json!("web1");
    record
}

/// What Python's HTTPHandler makes of a LogRecord.
fn log_record(event: &Event) -> String {
    let level = if event.level == "warn" { "WARNING" } else { &event.level.to_uppercase() };
    let created = format!("{SECONDS}.961");
    let arguments = format!("({},)", serde_json::to_string(&event.text).expect("text"));
    // A lone text without a place for arguments stands as it is.
    let (message, arguments) = if event.text.contains('%') || event.text.contains('\\') {
        (event.text.as_str(), "()".to_owned())
    } else {
        ("%s", arguments)
    };
    form(&[
        ("name", "shop"),
        ("msg", message),
        ("args", &arguments),
        ("levelname", level),
        ("levelno", "20"),
        ("pathname", "/app/pay.py"),
        ("lineno", "12"),
        ("exc_info", "None"),
        ("funcName", "pay"),
        ("created", &created),
        ("process", "42"),
        ("n", &event.extra.get("n").map(Value::to_string).unwrap_or_default()),
    ])
}

/// Clients that post JSON to whatever address they are given.
pub(super) fn plain() -> Vec<Recording> {
    let all = Says { number: "n", order: "order.id", level: true, time: true, ..Says::default() };
    let no_time = Says { time: false, ..all };
    vec![
        Recording::new("winston, Http transport", all, |events| {
            let record = |event: &Event| event.object("message", "level", "timestamp").to_string();
            events.iter().map(|event| post(INGEST, &[BEARER, JSON], record(event))).collect()
        }),
        Recording::new("winston, Http transport with batch", all, |events| {
            let records: Vec<_> =
                events.iter().map(|event| event.object("message", "level", "timestamp")).collect();
            vec![post(INGEST, &[BEARER, JSON], Value::Array(records).to_string())]
        }),
        Recording::new("pino over HTTP", all, |events| {
            let body = lines(events.iter().map(pino));
            vec![post(INGEST, &[BEARER, "Content-Type: application/x-ndjson"], body)]
        }),
        Recording::new(
            "Python, HTTPHandler",
            Says { number: "n", level: true, ..Says::default() },
            |events| {
                let headers = "Content-type: application/x-www-form-urlencoded";
                events
                    .iter()
                    .map(|event| {
                        let basic = "Authorization: Basic PAIR";
                        post(INGEST, &[headers, basic], log_record(event))
                    })
                    .collect()
            },
        ),
        Recording::new(
            "Log4j 2, Http appender",
            Says { level: true, ..Says::default() },
            |events| {
                let record = |event: &Event| format!("{}\r\n", log4j2(event));
                let headers = "Content-Type: application/json; charset=UTF-8";
                events.iter().map(|event| post(INGEST, &[BEARER, headers], record(event))).collect()
            },
        ),
        Recording::new("Vector, http sink with gzip", all, |events| {
            let record = |event: &Event| event.object("message", "level", "timestamp");
            let body = gzip(lines(events.iter().map(record)).as_bytes());
            let headers = "Content-Type: application/x-ndjson\nContent-Encoding: gzip";
            vec![post(INGEST, &[BEARER, headers, "User-Agent: Vector/0.51.0"], body)]
        }),
        Recording::new("Fluent Bit, http with json", no_time, |events| {
            let record = |event: &Event| {
                let mut record = event.object("log", "level", "");
                record["date"] = json!(SECONDS as f64 + 0.961);
                record
            };
            let records: Vec<_> = events.iter().map(record).collect();
            vec![post(INGEST, &[BEARER, JSON], Value::Array(records).to_string())]
        }),
        Recording::new("Logstash, http with json_batch", all, |events| {
            let record = |event: &Event| {
                let mut record = event.object("message", "level", "@timestamp");
                record["@version"] = json!("1");
                record
            };
            let records: Vec<_> = events.iter().map(record).collect();
            vec![post(
                INGEST,
                &[BEARER, JSON, "Expect: 100-continue"],
                Value::Array(records).to_string(),
            )]
        }),
        Recording::new("syslog-ng, http() with a JSON template", all, |events| {
            let record = |event: &Event| event.object("MESSAGE", "LEVEL", "ISODATE").to_string();
            let agent = "User-Agent: syslog-ng 3.38.1/libcurl 7.88.1";
            events.iter().map(|event| post(INGEST, &[BEARER, agent, JSON], record(event))).collect()
        }),
        Recording::new("rsyslog, omhttp with newline batches", all, |events| {
            let record = |event: &Event| event.object("msg", "severity", "timestamp");
            vec![post(INGEST, &[BEARER, JSON], lines(events.iter().map(record)))]
        }),
        Recording::new("curl --data-binary", all, |events| {
            let record = |event: &Event| event.object("message", "level", "time");
            let headers =
                "Content-Type: application/x-www-form-urlencoded\nUser-Agent: curl/7.88.1";
            vec![post(INGEST, &[BEARER, headers], lines(events.iter().map(record)))]
        }),
    ]
}

/// Services whose clients bring a token of their own kind, and systemd's journal.
pub(super) fn services() -> Vec<Recording> {
    let all = Says { number: "n", order: "order.id", level: true, time: true, ..Says::default() };
    vec![
        Recording::new(
            "Datadog, API client",
            Says { number: "n", order: "order.id", level: true, ..Says::default() },
            |events| {
                let record = |event: &Event| {
                    let mut record = event.object("message", "status", "");
                    record["ddsource"] = json!("python");
                    record["ddtags"] = json!("env:prod,team:pay");
                    record["hostname"] = json!("web1");
                    record["service"] = json!("shop");
                    record
                };
                let records: Vec<_> = events.iter().map(record).collect();
                let body = gzip(Value::Array(records).to_string().as_bytes());
                let headers = "Content-Type: application/json\nContent-Encoding: gzip\nDD-API-KEY: TOKEN";
                vec![ask("POST /api/v2/logs", &[headers], body, "202 Accepted")]
            },
        ),
        Recording::new(
            "Datadog Agent",
            Says { level: true, ..Says::default() },
            |events| {
                let record = |event: &Event| {
                    json!({"message": event.text, "status": event.level, "timestamp": SECONDS * 1_000,
                        "hostname": "web1", "service": "shop", "ddsource": "shop", "ddtags": "env:prod"})
                };
                let records: Vec<_> = events.iter().map(record).collect();
                let headers = "Content-Type: application/json\nDD-API-KEY: TOKEN\nDD-PROTOCOL: agent-json";
                let body = Value::Array(records).to_string();
                vec![post("POST /api/v2/logs", &[headers], body)]
            },
        ),
        Recording::new("Amazon Data Firehose", all, |events| {
            let record = |event: &Event| {
                let record = event.object("message", "level", "timestamp").to_string();
                json!({"data": base64(record.as_bytes())})
            };
            let records: Vec<_> = events.iter().map(record).collect();
            let body = json!({"requestId": "r-1", "timestamp": SECONDS * 1_000, "records": records});
            let headers = "X-Amz-Firehose-Access-Key: TOKEN\nX-Amz-Firehose-Request-Id: r-1";
            vec![ask("POST /aws/firehose", &[headers, JSON], body.to_string(), "\"requestId\":\"r-1\"")]
        }),
        Recording::new(
            "systemd-journal-upload",
            Says { number: "n", level: true, ..Says::default() },
            |events| {
                let mut body = Vec::new();
                for (cursor, event) in (1..).zip(events) {
                    let length = u64::try_from(event.text.len()).expect("64 bits").to_le_bytes();
                    body.extend(format!("__CURSOR=s={cursor}\n__REALTIME_TIMESTAMP={SECONDS}961000\nPRIORITY={}\nMESSAGE\n", event.priority()).bytes());
                    body.extend([&length[..], event.text.as_bytes(), b"\n"].concat());
                    if let Some(number) = event.extra.get("n") {
                        body.extend(format!("N={number}\n").bytes());
                    }
                    body.push(b'\n');
                }
                let headers = "Content-Type: application/vnd.fdo.journal\nExpect: 100-continue";
                vec![post("POST /upload", &[BEARER, headers], body)]
            },
        )
        .numbered("N"),
    ]
}

/// Clients of Elasticsearch and OpenSearch.
pub(super) fn elastic() -> Vec<Recording> {
    let all = Says { number: "n", order: "order.id", level: true, time: true, ..Says::default() };
    let document = |event: &Event| event.object("message", "level", "@timestamp");
    let hears = "\"errors\":false";
    vec![
        Recording::new("elasticsearch-py 9", all, move |events| {
            let body = bulk(events, r#"{"index":{"_index":"logs-shop"}}"#, document);
            vec![
                ask("GET /", &[ELASTIC_9], "", "7.10.2"),
                ask("PUT /_bulk", &[ELASTIC_9], body, "x-elastic-product: Elasticsearch"),
            ]
        }),
        Recording::new("elasticsearch-js 9", all, move |events| {
            let body = bulk(events, r#"{"create":{"_index":"logs-shop"}}"#, document);
            vec![ask("POST /_bulk", &[ELASTIC_9], body, hears)]
        }),
        Recording::new(
            "winston-elasticsearch",
            Says { number: "fields.n", order: "fields.order.id", ..all },
            move |events| {
                let action =
                    r#"{"index":{"_index":"logs-shop-2026.11.22","pipeline":null},"attempts":0}"#;
                let body = bulk(events, action, |event| {
                    json!({"message": event.text, "severity": event.level, "@timestamp": event.time,
                        "fields": event.extra})
                });
                let health = "GET /_cluster/health?timeout=30s&wait_for_nodes=%3E%3D1&wait_for_status=yellow";
                let path = "POST /_bulk?wait_for_active_shards=1&timeout=400ms";
                vec![
                    ask(health, &[ELASTIC_9], "", "green"),
                    post("HEAD /_index_template/template_logs", &[ELASTIC_9], ""),
                    ask(path, &[&ELASTIC_9.replace("=9", "=8")], body, hears),
                ]
            },
        ),
        Recording::new("pino-elasticsearch", all, move |events| {
            let body = bulk(events, r#"{"index":{"_index":"pino"}}"#, pino);
            vec![
                ask("POST /_bulk", &[ELASTIC_9], body, hears),
                post("GET /pino/_refresh", &[ELASTIC_9], ""),
            ]
        }),
        Recording::new("opensearch-py, gzip", all, move |events| {
            let body = bulk(events, r#"{"index":{"_index":"logs-shop"}}"#, document);
            let headers = "Content-Type: application/json\nContent-Encoding: gzip";
            let basic = "Authorization: Basic PAIR";
            vec![ask("POST /_bulk", &[basic, headers], gzip(body.as_bytes()), hears)]
        }),
        Recording::new("opensearch-js", all, move |events| {
            let body = bulk(events, r#"{"index":{"_index":"logs-shop"}}"#, document);
            let headers = "Content-Type: application/x-ndjson";
            vec![ask("POST /_bulk", &["Authorization: Basic PAIR", headers], body, hears)]
        }),
        Recording::new(
            "Filebeat, output.elasticsearch",
            Says { level: false, ..all },
            move |events| {
                let body = bulk(events, r#"{"create":{"_index":"filebeat-8.19.0"}}"#, beats);
                let headers = "Content-Type: application/json\nAuthorization: ApiKey TOKEN";
                vec![
                    ask("GET /", &[headers], "", "7.10.2"),
                    ask("GET /_license?human=false", &[headers], "", "\"license\""),
                    ask("POST /_bulk", &[headers], body, hears),
                ]
            },
        ),
        Recording::new("Logstash, elasticsearch output", all, move |events| {
            let action = r#"{"create":{"_index":"logs-generic-default"}}"#;
            let body = gzip(bulk(events, action, document).as_bytes());
            let headers = "Content-Type: application/json\nContent-Encoding: gzip";
            vec![ask("POST /_bulk", &["Authorization: Basic PAIR", headers], body, hears)]
        }),
        Recording::new("Fluent Bit, es with Generate_ID off", all, move |events| {
            let body = bulk(events, r#"{"create":{"_index":"fluent-bit"}}"#, document);
            let headers = "Content-Type: application/x-ndjson\nUser-Agent: Fluent-Bit";
            vec![ask("POST /_bulk", &["Authorization: Basic PAIR", headers], body, hears)]
        }),
        Recording::new("Vector, elasticsearch sink", all, move |events| {
            let action = r#"{"index":{"_index":"vector-2026.11.22"}}"#;
            let body = bulk(events, action, document);
            let headers = "Content-Type: application/x-ndjson\nUser-Agent: Vector/0.51.0";
            vec![ask("POST /_bulk?timeout=60s", &[BEARER, headers], body, hears)]
        }),
        Recording::new("rsyslog, omelasticsearch", all, move |events| {
            let action = r#"{"index":{"_index":"rsyslog"}}"#;
            let one = |event: &Event| bulk(std::slice::from_ref(event), action, document) + "\n";
            let headers =
                "Content-Type: application/json; charset=utf-8\nAuthorization: Basic PAIR";
            events.iter().map(|event| ask("POST /_bulk", &[headers], one(event), hears)).collect()
        }),
    ]
}

/// Clients of Splunk's event collector.
pub(super) fn splunk() -> Vec<Recording> {
    let says = Says { number: "n", order: "order.id", level: true, ..Says::default() };
    let path = "POST /services/collector/event";
    let splunk = "Authorization: Splunk TOKEN";
    vec![
        Recording::new("splunk-handler", says, move |events| {
            let event = |event: &Event| {
                let text = event.object("message", "level", "").to_string();
                json!({"event": text, "host": "web1", "index": "main", "source": "shop",
                    "sourcetype": "text", "time": SECONDS as f64 + 0.961})
                .to_string()
            };
            let body: String = events.iter().map(event).collect();
            vec![ask(path, &[splunk], body, r#"{"text":"Success","code":0}"#)]
        }),
        Recording::new(
            "splunk-logging",
            Says { number: "n", order: "order.id", level: true, ..Says::default() },
            move |events| {
                let headers = "Content-Type: application/x-www-form-urlencoded";
                let body = |event: &Event| {
                    let inner = event.object("message", "", "");
                    json!({"time": format!("{SECONDS}.961"), "event": {"message": inner, "severity": event.level}})
                        .to_string()
                };
                let send = |event| {
                    ask(
                        "POST /services/collector/event/1.0",
                        &[splunk, headers],
                        body(event),
                        "Success",
                    )
                };
                events.iter().map(send).collect()
            },
        ),
        Recording::new(
            "Docker, splunk driver",
            Says { only_lines: true, ..Says::default() },
            move |events| {
                let event = |event: &Event| {
                    json!({"event": {"line": event.text, "source": "stdout", "tag": "4f1c"}, "host": "web1",
                    "time": format!("{SECONDS}.961000")})
                .to_string()
                };
                let body: String = events.iter().map(event).collect();
                let headers = "Content-Encoding: gzip";
                vec![
                    post("OPTIONS /services/collector/event/1.0", &[splunk], ""),
                    ask(
                        "POST /services/collector/event/1.0",
                        &[splunk, headers],
                        gzip(body.as_bytes()),
                        "Success",
                    ),
                ]
            },
        ),
        Recording::new("Fluent Bit, splunk", says, move |events| {
            let event = |event: &Event| {
                let inner = event.object("log", "level", "");
                json!({"time": SECONDS as f64 + 0.961, "event": inner}).to_string()
            };
            let body: String = events.iter().map(event).collect();
            vec![ask("POST /services/collector/event", &[splunk, JSON], body, "Success")]
        }),
        Recording::new("Vector, splunk_hec_logs with acknowledgements", says, move |events| {
            let event = |event: &Event| {
                let inner = event.object("message", "level", "");
                json!({"event": inner, "time": SECONDS as f64, "fields": {}}).to_string()
            };
            let body: String = events.iter().map(event).collect();
            let channel = "X-Splunk-Request-Channel: 5f0d6bc4-8d4a-4a7a-9f0b-9d9c5e4f1c11";
            vec![ask(
                path,
                &[splunk, channel, "Content-Encoding: gzip"],
                gzip(body.as_bytes()),
                "\"ackId\":",
            )]
        }),
    ]
}

/// Clients of Loki.
pub(super) fn loki() -> Vec<Recording> {
    let path = "POST /loki/api/v1/push";
    let said = "204 No Content";
    let nanos = format!("{SECONDS}961000000");
    let of_text = Says { level: true, ..Says::default() };
    let of_object = Says { number: "n", order: "order.id", level: true, ..Says::default() };
    let (first, second, third, fourth) = (nanos.clone(), nanos.clone(), nanos.clone(), nanos);
    vec![
        Recording::new("python-logging-loki", of_text, move |events| {
            let body = |event: &Event| {
                json!({"streams": [{"stream": {"severity": event.level, "logger": "shop"},
                    "values": [[first, event.text]]}]})
                .to_string()
            };
            let basic = "Authorization: Basic PAIR";
            events.iter().map(|event| ask(path, &[basic, JSON], body(event), said)).collect()
        }),
        Recording::new("pino-loki", of_object, move |events| {
            let stream = |event: &Event| {
                let line = event.object("msg", "level", "").to_string();
                json!({"stream": {"level": event.level, "app": "shop"}, "values": [[second, line]]})
            };
            let body = json!({"streams": events.iter().map(stream).collect::<Vec<_>>()});
            vec![ask(path, &[BEARER, JSON], body.to_string(), said)]
        }),
        Recording::new("winston-loki, JSON", Says { number: "n", ..of_text }, move |events| {
            let stream = |event: &Event| {
                let said = event.extra.iter().map(|(key, value)| (key.clone(), value.to_string()));
                let metadata: std::collections::BTreeMap<_, _> =
                    said.map(|(key, value)| (key, Value::String(value))).collect();
                json!({"stream": {"level": event.level}, "values": [[third, event.text, metadata]]})
            };
            let body = json!({"streams": events.iter().map(stream).collect::<Vec<_>>()});
            vec![ask(path, &[BEARER, JSON], body.to_string(), said)]
        }),
        Recording::new(
            "Promtail, and winston-loki with Protocol Buffers",
            of_text,
            move |events| {
                let stream = |event: &Event| {
                    let at = [number(1, SECONDS), number(2, 961_000_000)].concat();
                    let entry = [part(1, &at), part(2, event.text.as_bytes())].concat();
                    let labels = format!(r#"{{job="shop", level="{}"}}"#, event.level);
                    part(1, &[part(1, labels.as_bytes()), part(2, &entry)].concat())
                };
                let body: Vec<u8> = events.iter().flat_map(stream).collect();
                let headers = "Content-Type: application/x-protobuf\nUser-Agent: promtail/3.5.0";
                vec![ask(path, &[BEARER, headers], snappy(&body), said)]
            },
        ),
        Recording::new("Fluent Bit, loki", of_object, move |events| {
            let values: Vec<_> = events
                .iter()
                .map(|event| json!([fourth, event.object("log", "level", "").to_string()]))
                .collect();
            let body = json!({"streams": [{"stream": {"job": "fluent-bit"}, "values": values}]});
            vec![ask(path, &[BEARER, JSON], body.to_string(), said)]
        }),
    ]
}

/// The `LogRecord`s of an export as Protocol Buffers.
pub(super) fn export(events: &[Event]) -> Vec<u8> {
    let nanos = SECONDS * 1_000_000_000 + 961_000_000;
    let text = |text: &str| part(1, text.as_bytes());
    let record = |event: &Event| {
        let (level, word) = match event.level {
            "error" => (17, "ERROR"),
            "warn" => (13, "WARN"),
            _ => (9, "INFO"),
        };
        let mut record = [vec![0x09], nanos.to_le_bytes().to_vec()].concat();
        record.extend(number(2, level));
        record.extend(part(3, word.as_bytes()));
        record.extend(part(5, &text(&event.text)));
        if let Some(value) = event.extra.get("n").and_then(Value::as_u64) {
            record.extend(part(6, &[part(1, b"n"), part(2, &number(3, value))].concat()));
        }
        if let Some(id) = event.extra.get("order").and_then(|order| order["id"].as_u64()) {
            let pair = part(1, &[part(1, b"id"), part(2, &number(3, id))].concat());
            record.extend(part(6, &[part(1, b"order"), part(2, &part(6, &pair))].concat()));
        }
        part(2, &record)
    };
    let scope = [part(1, &part(1, b"shop.pay")), events.iter().flat_map(record).collect()].concat();
    let service = [part(1, b"service.name"), part(2, &text("shop"))].concat();
    part(1, &[part(1, &part(1, &service)), part(2, &scope)].concat())
}

/// OpenTelemetry and GELF over HTTP.
pub(super) fn others() -> Vec<Recording> {
    let says = Says { number: "n", order: "order.id", level: true, ..Says::default() };
    vec![
        Recording::new("OpenTelemetry SDK, Python over HTTP", says, |events| {
            let headers = "Content-Type: application/x-protobuf\nContent-Encoding: gzip";
            let agent = "User-Agent: OTel-OTLP-Exporter-Python/1.45.0";
            vec![post("POST /v1/logs", &[BEARER, headers, agent], gzip(&export(events)))]
        }),
        Recording::new("OpenTelemetry SDK, JavaScript with JSON in chunks", says, |events| {
            let record = |event: &Event| {
                let mut attributes = Vec::new();
                if let Some(number) = event.extra.get("n") {
                    attributes.push(json!({"key": "n", "value": {"intValue": number.to_string()}}));
                }
                if event.extra.contains_key("order") {
                    let id = json!({"key": "id", "value": {"intValue": 7}});
                    attributes
                        .push(json!({"key": "order", "value": {"kvlistValue": {"values": [id]}}}));
                }
                json!({"timeUnixNano": format!("{SECONDS}961000000"), "severityText": event.level,
                    "body": {"stringValue": event.text}, "attributes": attributes})
            };
            let records: Vec<_> = events.iter().map(record).collect();
            let body = json!({"resourceLogs": [{"resource": {"attributes": []},
                "scopeLogs": [{"scope": {"name": "shop"}, "logRecords": records}]}]});
            vec![ask(
                "POST /v1/logs",
                &[BEARER, JSON, "Transfer-Encoding: chunked"],
                body.to_string(),
                "{}",
            )]
        }),
        Recording::new("graypy, HTTP with zlib", Says { time: false, ..says }, |events| {
            let body =
                |event: &Event| zlib(super::wire::gelf(event, "1.0", true).to_string().as_bytes());
            let basic = "Authorization: Basic PAIR";
            events
                .iter()
                .map(|event| ask("POST /gelf", &[basic], body(event), "202 Accepted"))
                .collect()
        })
        .numbered("_n")
        .ordered("_order.id"),
    ]
}
