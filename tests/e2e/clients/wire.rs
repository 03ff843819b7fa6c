//! What clients write to sockets, as it was recorded from them.

use serde_json::{Value, json};

use super::encode::{gzip, msgpack, packed_bytes, zlib};
use super::events::{Event, SECONDS, Says, TIME};
use super::{Recording, Send};

fn tcp(bytes: impl Into<Vec<u8>>) -> Vec<Send> {
    vec![Send::Tcp { bytes: bytes.into(), answer: Vec::new() }]
}

fn udp(datagrams: impl Iterator<Item = Vec<u8>>) -> Vec<Send> {
    vec![Send::Udp(datagrams.collect())]
}

/// An object of GELF; `has_objects`: fields may be objects.
pub(super) fn gelf(event: &Event, version: &str, has_objects: bool) -> Value {
    let mut object = json!({"version": version, "host": "web1", "short_message": event.text,
        "timestamp": SECONDS as f64 + 0.961, "level": event.priority(), "_facility": "shop"});
    for (key, value) in &event.extra {
        let value =
            if has_objects || value.is_number() { value.clone() } else { value.to_string().into() };
        object[format!("_{key}")] = value;
    }
    object
}

/// Messages of chunks with 1,420 bytes each, as graypy sends what is longer.
fn in_chunks(id: u8, message: &[u8]) -> Vec<Vec<u8>> {
    let parts: Vec<_> = message.chunks(1_420).collect();
    if parts.len() == 1 {
        return vec![message.to_vec()];
    }
    let count = u8::try_from(parts.len()).expect("at most 128");
    let chunk = |(number, part): (u8, &&[u8])| {
        [&[0x1E, 0x0F][..], &[id; 8], &[number, count], part].concat()
    };
    (0u8..).zip(&parts).map(chunk).collect()
}

/// GELF over TCP and UDP.
pub(super) fn graylog() -> Vec<Recording> {
    let says = Says { number: "_n", level: true, ..Says::default() };
    let nul = |objects: Vec<Value>| {
        tcp(objects
            .iter()
            .flat_map(|object| format!("{object}\0").into_bytes())
            .collect::<Vec<_>>())
    };
    vec![
        Recording::new(
            "graypy, UDP with zlib in chunks",
            Says { order: "_order.id", ..says },
            |events| {
                let message = |event: &Event| zlib(gelf(event, "1.0", true).to_string().as_bytes());
                udp((0u8..).zip(events).flat_map(|(id, event)| in_chunks(id, &message(event))))
            },
        ),
        Recording::new("graypy, TCP", Says { order: "_order.id", ..says }, move |events| {
            nul(events.iter().map(|event| gelf(event, "1.0", true)).collect())
        }),
        Recording::new("gelf-pro, UDP", says, |events| {
            let message = |event: &Event| zlib(gelf(event, "1.1", false).to_string().as_bytes());
            udp((64u8..).zip(events).flat_map(|(id, event)| in_chunks(id, &message(event))))
        }),
        Recording::new("Log4j 2, GELF over TCP", says, move |events| {
            nul(events.iter().map(|event| gelf(event, "1.1", false)).collect())
        }),
        Recording::new("Docker, gelf driver", Says { only_lines: true, ..says }, |events| {
            let message = |event: &Event| gzip(gelf(event, "1.1", false).to_string().as_bytes());
            udp(events.iter().map(message))
        }),
        Recording::new("Fluent Bit, gelf over TCP", says, move |events| {
            nul(events.iter().map(|event| gelf(event, "1.1", false)).collect())
        }),
    ]
}

fn rfc5424(event: &Event, data: &str, text: &str) -> String {
    let priority = 8 + event.priority();
    format!("<{priority}>1 {TIME} web1 shop 42 - {data} {text}")
}

fn counted(message: &str) -> String {
    format!("{} {message}", message.len())
}

/// Syslog over TCP and UDP, and RELP.
pub(super) fn syslog() -> Vec<Recording> {
    let exact = Says { level: true, ..Says::default() };
    let escaped = Says { line_break: Some("#012"), ..exact };
    let of_lines = Says { only_lines: true, ..exact };
    let object = |event: &Event| event.object("message", "level", "").to_string();
    let of_object = Says { number: "n", order: "order.id", ..exact };
    let escape = |event: &Event| event.text.replace('\n', "#012");
    vec![
        Recording::new("rsyslog, omfwd with counted octets", exact, |events| {
            let message = |event: &Event| {
                counted(&format!("{}\n", rfc5424(event, "-", &format!(" {}", event.text))))
            };
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("rsyslog, omfwd with RSYSLOG_ForwardFormat", escaped, move |events| {
            let message = |event: &Event| {
                format!("<{}>{TIME} web1 shop[42]: {}\n", 8 + event.priority(), escape(event))
            };
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("syslog-ng, syslog() driver", exact, |events| {
            let data = r#"[meta sequenceId="1"]"#;
            let message =
                |event: &Event| counted(&format!("{}\n", rfc5424(event, data, &event.text)));
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("syslog-ng, network() over UDP", of_lines, |events| {
            udp(events.iter().map(|event| {
                format!("<{}>Nov 22 04:22:59 web1 shop[42]: {}\n", 8 + event.priority(), event.text)
                    .into_bytes()
            }))
        }),
        Recording::new("Python, SysLogHandler over TCP", exact, |events| {
            let message =
                |event: &Event| format!("<{}>shop: {}\0", 8 + event.priority(), event.text);
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("Python, SysLogHandler over UDP", exact, |events| {
            udp(events.iter().map(|event| {
                format!("<{}>shop: {}\0", 8 + event.priority(), event.text).into_bytes()
            }))
        }),
        Recording::new("winston-syslog, TCP with eol", of_object, move |events| {
            let message = |event: &Event| format!("{}\n", rfc5424(event, "-", &object(event)));
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("Log4j 2, Syslog appender", of_lines, |events| {
            let data = r#"[mdc@32473 user="an\"n"]"#;
            let message = |event: &Event| format!("{}\n", rfc5424(event, data, &event.text));
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("logger --octet-count", of_lines, |events| {
            let data = r#"[timeQuality tzKnown="1" isSynced="0"][lw@32473 k="v1"]"#;
            let message = |event: &Event| counted(&rfc5424(event, data, &event.text));
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("Docker, syslog driver with rfc5424micro", of_lines, |events| {
            let message = |event: &Event| {
                format!("<30>1 2026-11-22T04:22:59.961000Z web1 4f1c 42 4f1c - {}\n", event.text)
            };
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("Logback, UDP", of_lines, |events| {
            udp(events.iter().map(|event| {
                format!("<{}>Nov 22 04:22:59 web1 {}", 8 + event.priority(), event.text)
                    .into_bytes()
            }))
        }),
        Recording::new("Monolog, UDP", of_lines, |events| {
            udp(events.iter().map(|event| rfc5424(event, "-", &event.text).into_bytes()))
        }),
        Recording::new("Fluent Bit, syslog over TCP", of_lines, |events| {
            let message = |event: &Event| format!("{}\n", rfc5424(event, "-", &event.text));
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("Vector, socket sink with syslog", of_lines, |events| {
            let message = |event: &Event| format!("{}\n", rfc5424(event, "-", &event.text));
            tcp(events.iter().map(message).collect::<String>())
        }),
        Recording::new("rsyslog, omrelp", exact, |events| {
            let offers = "relp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog";
            let mut bytes = format!("1 open {} {offers}\n", offers.len());
            for (number, event) in (2..).zip(events) {
                let text =
                    format!("<{}>{TIME} web1 shop[42]: {}", 8 + event.priority(), event.text);
                bytes.push_str(&format!("{number} syslog {} {text}\n", text.len()));
            }
            let answer = format!("{} rsp 6 200 OK\n", events.len() + 1);
            vec![Send::Tcp { bytes: bytes.into_bytes(), answer: answer.into_bytes() }]
        }),
    ]
}

/// A time with nanoseconds of Fluent forward.
fn event_time() -> Vec<u8> {
    let seconds = u32::try_from(SECONDS).expect("32 bits").to_be_bytes();
    [&[0xD7, 0x00][..], &seconds, &961_000_000u32.to_be_bytes()].concat()
}

fn entry(event: &Event, text: &str) -> Vec<u8> {
    [vec![0x92], event_time(), msgpack(&event.object(text, "level", ""))].concat()
}

/// Fluent forward.
pub(super) fn forward() -> Vec<Recording> {
    let says = Says { number: "n", order: "order.id", level: true, ..Says::default() };
    let tag = msgpack(&json!("shop.pay"));
    let [first, second, third] = [tag.clone(), tag.clone(), tag];
    let chunk = "p8n9gmxTQVC8nh2wlKKeHQ==";
    vec![
        Recording::new("fluent-logger, Python", says, move |events| {
            let message = |event: &Event| {
                [
                    &[0x93][..],
                    &first,
                    &event_time(),
                    &msgpack(&event.object("message", "level", "")),
                ]
                .concat()
            };
            tcp(events.iter().flat_map(message).collect::<Vec<_>>())
        }),
        Recording::new(
            "@fluent-org/logger, PackedForward with acknowledgement",
            says,
            move |events| {
                let entries: Vec<u8> =
                    events.iter().flat_map(|event| entry(event, "message")).collect();
                let options = msgpack(&json!({"size": events.len(), "chunk": chunk}));
                let bytes = [&[0x93][..], &second, &packed_bytes(&entries), &options].concat();
                vec![Send::Tcp { bytes, answer: msgpack(&json!(chunk)) }]
            },
        ),
        Recording::new("Fluent Bit, forward with gzip", says, move |events| {
            let entries: Vec<u8> = events.iter().flat_map(|event| entry(event, "log")).collect();
            let options =
                msgpack(&json!({"size": events.len(), "compressed": "gzip", "fluent_signal": 0}));
            tcp([&[0x93][..], &third, &packed_bytes(&gzip(&entries)), &options].concat())
        }),
        Recording::new(
            "Docker, fluentd driver",
            Says { only_lines: true, ..Says::default() },
            |events| {
                let message = |event: &Event| {
                    let record = json!({"container_id": "4f1c", "container_name": "/shop", "source": "stdout", "log": event.text});
                    [&[0x93][..], &msgpack(&json!("4f1c")), &event_time(), &msgpack(&record)]
                        .concat()
                };
                tcp(events.iter().flat_map(message).collect::<Vec<_>>())
            },
        ),
    ]
}

/// Beats, objects over TCP, and OpenTelemetry over gRPC.
pub(super) fn objects() -> Vec<Recording> {
    let says = Says { number: "n", order: "order.id", level: true, ..Says::default() };
    let with_time = Says { time: true, ..says };
    vec![
        Recording::new(
            "Filebeat, Logstash output",
            Says { time: true, number: "n", order: "order.id", ..Says::default() },
            |events| {
                let mut frames = Vec::new();
                for (sequence, event) in (1u32..).zip(events) {
                    let mut document = event.object("message", "log.level", "@timestamp");
                    document["agent"] = json!({"type": "filebeat", "version": "8.19.0"});
                    let text = document.to_string();
                    let length = u32::try_from(text.len()).expect("32 bits").to_be_bytes();
                    frames.extend(
                        [&b"2J"[..], &sequence.to_be_bytes(), &length, text.as_bytes()].concat(),
                    );
                }
                let count = u32::try_from(events.len()).expect("32 bits").to_be_bytes();
                let frames = zlib(&frames);
                let length = u32::try_from(frames.len()).expect("32 bits").to_be_bytes();
                let bytes = [&b"2W"[..], &count, b"2C", &length, &frames].concat();
                vec![Send::Tcp { bytes, answer: [&b"2A"[..], &count].concat() }]
            },
        ),
        Recording::new(
            "python-logstash-async, Beats",
            Says { level: true, ..with_time },
            |events| {
                let send = |event: &Event| {
                    let text = event.object("message", "level", "@timestamp").to_string();
                    let length = u32::try_from(text.len()).expect("32 bits").to_be_bytes();
                    let frame = zlib(&[&b"2J\0\0\0\x01"[..], &length, text.as_bytes()].concat());
                    let length = u32::try_from(frame.len()).expect("32 bits").to_be_bytes();
                    let bytes = [&b"2W\0\0\0\x012C"[..], &length, &frame].concat();
                    Send::Tcp { bytes, answer: b"2A\0\0\0\x01".to_vec() }
                };
                events.iter().map(send).collect()
            },
        ),
        Recording::new("Log4j 2, Socket appender with JSON", with_time, |events| {
            tcp(events
                .iter()
                .map(|event| format!("{}\r\n", event.object("message", "level", "timestamp")))
                .collect::<String>())
        }),
        Recording::new("Logback, LogstashTcpSocketAppender", with_time, |events| {
            let line = |event: &Event| {
                let mut object = event.object("message", "level", "@timestamp");
                object["@version"] = json!("1");
                object["logger_name"] = json!("shop.Pay");
                object["thread_name"] = json!("main");
                object["level"] = json!(event.level.to_uppercase());
                format!("{object}\n")
            };
            tcp(events.iter().map(line).collect::<String>())
        }),
        Recording::new("python-logstash, TCP", with_time, |events| {
            tcp(events
                .iter()
                .map(|event| format!("{}\n", event.object("message", "level", "@timestamp")))
                .collect::<String>())
        }),
        Recording::new("OpenTelemetry SDK, Python over gRPC", says, |events| {
            let path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
            vec![Send::Grpc { path, message: super::http::export(events) }]
        }),
    ]
}
