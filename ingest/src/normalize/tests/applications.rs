//! Records of the logging libraries in use, as they write them.

use super::check;

#[test]
fn winston_and_the_plain_form() {
    check(
        r#"{"level":"warn","message":"slow","timestamp":"2026-01-02T03:04:05.678Z","service":"shop","user":{"name":"alice"},"src":{"ip":"10.2.0.9"}}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=warning
         message=slow
         log.level=warn (level)
         service.name=shop (service)
         user.name=alice
         source.ip=10.2.0.9 (src.ip)
         dataset=shop",
    );
}

#[test]
fn pino_and_bunyan() {
    check(
        r#"{"level":50,"time":1767323045678,"pid":42,"hostname":"web-1","req":{"method":"GET","url":"/a","remoteAddress":"::ffff:10.2.0.9","remotePort":5123},"res":{"statusCode":500},"msg":"request failed","err":{"type":"TypeError","message":"x is not a function","stack":"at y"}}"#,
        "severity=error
         message=request failed
         msg=request failed
         log.level=50 (level)
         process.pid=42 (pid)
         host.name=web-1 (hostname)
         http.request.method=GET (req.method)
         url.original=/a (req.url)
         source.ip=10.2.0.9 (req.remoteAddress)
         source.port=5123 (req.remotePort)
         http.response.status_code=500 (res.statusCode)
         error.type=TypeError (err.type)
         error.message=x is not a function (err.message)
         error.stack_trace=at y (err.stack)",
    );
}

#[test]
fn bunyan_and_pino_call_the_program_name() {
    check(
        r#"{"name":"shop","hostname":"web-1","pid":42,"level":40,"msg":"m","time":"2026-01-02T03:04:05.678Z","v":0}"#,
        "at=2026-01-02T03:04:05.678Z\nseverity=warning\nservice.name=shop (name)\nmessage=m",
    );
    check(
        r#"{"name":"bob","hostname":"web-1","pid":42,"level":"warn"}"#,
        "service.name=-\nname=bob",
    );
    check(
        r#"{"name":"l","service":"shop","hostname":"web-1","pid":42,"level":30}"#,
        "service.name=shop (service)\nname=l",
    );
}

#[test]
fn slog_counts_from_its_levels() {
    for (level, severity) in
        [("INFO", "info"), ("INFO+2", "info"), ("DEBUG-4", "debug"), ("ERROR+4", "error")]
    {
        check(
            &format!(r#"{{"time":"2026-01-02T03:04:05.6+01:00","level":"{level}","msg":"m"}}"#),
            &format!("at=2026-01-02T02:04:05.600Z\nseverity={severity}\nlog.level={level} (level)"),
        );
    }
    check(r#"{"level":"x+"}"#, "severity=info\nlog.level=x+ (level)");
}

#[test]
fn logback_and_log4j() {
    check(
        r#"{"@timestamp":"2026-01-02T03:04:05.678+01:00","@version":"1","message":"m","logger_name":"a.B","thread_name":"main","level":"ERROR","level_value":40000,"stack_trace":"s"}"#,
        "at=2026-01-02T02:04:05.678Z
         severity=error
         log.logger=a.B (logger_name)
         process.thread.name=main (thread_name)
         error.stack_trace=s (stack_trace)",
    );
    check(
        r#"{"instant":{"epochSecond":1767323045,"nanoOfSecond":1},"thread":"main","level":"FATAL","loggerName":"a.B","message":"m","contextMap":{"userId":"u1","clientIp":"10.0.0.1"}}"#,
        "at=2026-01-02T03:04:05.000000001Z
         severity=critical
         log.logger=a.B (loggerName)
         user.id=u1 (contextMap.userId)
         source.ip=10.0.0.1 (contextMap.clientIp)",
    );
}

#[test]
fn zap_slog_tracing_python_serilog_and_monolog() {
    check(
        r#"{"level":"dpanic","ts":1767323045.5,"logger":"l","caller":"a.go:1","msg":"m"}"#,
        "at=2026-01-02T03:04:05.500Z\nseverity=critical\nlog.logger=l (logger)\ncaller=a.go:1",
    );
    check(
        r#"{"timestamp":"2026-01-02T03:04:05Z","level":"INFO","fields":{"message":"hello","user":"bob"},"target":"app::x"}"#,
        "message=hello\nuser.name=bob (fields.user)\nlog.logger=app::x (target)",
    );
    check(
        r#"{"asctime":"2026-01-02 03:04:05,678","levelname":"CRITICAL","levelno":50,"name":"root","message":"m","process":7,"threadName":"t","exc_info":"Traceback"}"#,
        "severity=critical\nlog.level=CRITICAL (levelname)\nprocess.thread.name=t (threadName)\nerror.stack_trace=Traceback (exc_info)",
    );
    check(
        r#"{"@t":"2026-01-02T03:04:05Z","@mt":"user {Name}","@m":"user bob","@l":"Warning","@x":"boom","Name":"bob","SourceContext":"A.B"}"#,
        "severity=warning\nmessage=user bob\nerror.stack_trace=boom (@x)\nlog.logger=A.B (SourceContext)",
    );
    check(
        r#"{"message":"m","context":{"user":"eve"},"level":400,"level_name":"ERROR","channel":"app","datetime":"2026-01-02T03:04:05.1+00:00"}"#,
        "at=2026-01-02T03:04:05.100Z\nseverity=error\nuser.name=eve (context.user)",
    );
    for (zone, at) in [
        ("Europe/Berlin", "2026-01-02T02:04:05.678901Z"),
        ("+02:00", "2026-01-02T01:04:05.678901Z"),
        ("EST", "2026-01-02T08:04:05.678901Z"),
    ] {
        check(
            &format!(
                r#"{{"message":"m","context":[],"level":400,"level_name":"ERROR","channel":"app","datetime":{{"date":"2026-01-02 03:04:05.678901","timezone_type":3,"timezone":"{zone}"}},"extra":[]}}"#
            ),
            &format!("at={at}\nseverity=error\nmessage=m\nlog.logger=app (channel)"),
        );
    }
    check(
        r#"{"L":"WARN","T":"2026-01-02T03:04:05.678+0100","N":"shop.pay","C":"pay/a.go:1","M":"slow","S":"main.main"}"#,
        "at=2026-01-02T02:04:05.678Z
         severity=warning
         message=slow
         log.level=WARN (L)
         log.logger=shop.pay (N)
         error.stack_trace=main.main (S)",
    );
    check(r#"{"severityNumber":17,"body":"b"}"#, "severity=error\nmessage=b");
    check(
        r#"{"short_message":"s","level":3,"host":"h"}"#,
        "severity=error\nmessage=s\nhost.name=h (host)",
    );
}

#[test]
fn one_standard_name_has_one_owner_and_nothing_is_lost() {
    check(r#"{"user":"a","username":"b","user.name":"c"}"#, "user.name=c\nuser=a\nusername=b");
    check(
        r#"{"ip":"10.0.0.1","remote_addr":"10.0.0.2:5123","client_ip":"not an address"}"#,
        "source.ip=10.0.0.2
         source.port=5123
         remote_addr=10.0.0.2:5123
         ip=10.0.0.1
         client_ip=not an address",
    );
    check(
        r#"{"source":{"ip":"nonsense"},"src_ip":"10.0.0.1"}"#,
        "source.ip=nonsense\nsrc_ip=10.0.0.1",
    );
    check(r#"{"host":{"ip":["10.0.0.1","::1"]}}"#, "host.ip=10.0.0.1 ::1");
}

#[test]
fn status_is_what_its_value_says() {
    check(
        r#"{"status":404,"method":"GET"}"#,
        "http.response.status_code=404 (status)\nseverity=info",
    );
    check(r#"{"status":"error","message":"m"}"#, "severity=error\nlog.level=error (status)");
    check(r#"{"status":"success","message":"m"}"#, "severity=info\nstatus=success\nlog.level=-");
    check(
        r#"{"level":"purple","severity":"error"}"#,
        "severity=error\nlog.level=error (severity)\nlevel=purple",
    );
    check(r#"{"level":"purple"}"#, "severity=info\nlog.level=purple (level)");
}

#[test]
fn the_sender_may_name_the_dataset() {
    check(r#"{"event":{"dataset":"shop.auth"}}"#, "dataset=shop.auth\nevent.dataset=shop.auth");
    check(r#"{"dataset":"shop.web"}"#, "dataset=shop.web");
}

#[test]
fn loguru_says_the_record_beside_its_text() {
    check(
        r#"{"text":"2026-01-02 03:04:05.678 | ERROR    | shop:pay:19 - went wrong\n","record":{"elapsed":{"repr":"0:00:00.02","seconds":0.02},"exception":{"type":"ZeroDivisionError","value":"division by zero","traceback":true},"extra":{"order":7},"file":{"name":"pay.py","path":"/srv/pay.py"},"function":"pay","level":{"icon":"x","name":"CRITICAL","no":50},"line":19,"message":"went wrong","module":"pay","name":"shop","process":{"id":42,"name":"MainProcess"},"thread":{"id":1,"name":"MainThread"},"time":{"repr":"2026-01-02 03:04:05.678000+00:00","timestamp":1767323045.678}}}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=critical
         message=went wrong
         log.logger=shop (record.name)
         process.pid=42 (record.process.id)
         error.type=ZeroDivisionError (record.exception.type)
         error.message=division by zero (record.exception.value)
         record.extra.order=7
         class=python/application/",
    );
}

#[test]
fn handlers_of_python_for_logstash() {
    check(
        r#"{"@timestamp":"2026-01-02T03:04:05.678Z","@message":"refused","@source":"logstash://vm//srv/pay.py","@source_host":"vm","@source_path":"/srv/pay.py","@tags":[],"@type":"logstash","@fields":{"levelname":"ERROR","logger":"shop.pay"}}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=error
         message=refused
         host.name=vm (@source_host)
         log.logger=shop.pay (@fields.logger)",
    );
    check(
        r#"{"@timestamp":"2026-01-02T03:04:05.678Z","@version":"1","message":"refused","host":"vm","path":"/srv/pay.py","tags":[],"type":"logstash","level":"ERROR","logger_name":"shop.pay"}"#,
        "severity=error
         message=refused
         host.name=vm (host)
         path=/srv/pay.py
         url.path=-
         log.logger=shop.pay (logger_name)",
    );
    check(
        r#"{"@timestamp":"2026-01-02T03:04:05.678Z","@version":"1","host":"vm","level":"ERROR","logsource":"vm","message":"refused","pid":42,"program":"pay.py","type":"python-logstash","extra":{"func_name":"charge","interpreter":"/usr/bin/python","line":42,"logger_name":"shop.pay","path":"/srv/pay.py","process_name":"MainProcess","thread_name":"MainThread"}}"#,
        "severity=error
         url.path=-
         log.logger=shop.pay (extra.logger_name)
         process.thread.name=MainThread (extra.thread_name)",
    );
}

#[test]
fn log4js_writes_its_events_flatted() {
    check(
        r#"[{"startTime":"1","categoryName":"2","data":"3","level":"4","context":"5","pid":24660,"error":"6"},"2026-01-02T03:04:05.678Z","shop.sub",["7","8","9"],{"level":30000,"levelStr":"10","colour":"11"},{"user":"12"},"__LOG4JS_undefined__","hello %s","x",{"a":1},"WARN","yellow","ann"]"#,
        "at=2026-01-02T03:04:05.678Z
         severity=warning
         message=hello %s
         log.logger=shop.sub (categoryName)
         process.pid=24660 (pid)
         user.name=ann (context.user)
         error=-
         class=nodejs/application/",
    );
    check(
        r#"[{"startTime":"1","categoryName":"2","data":"3","level":"4","context":"5","pid":24660,"error":"6"},"2026-01-02T03:04:05.678Z","shop.sub",["7"],{"level":40000,"levelStr":"8","colour":"9"},{"user":"10"},{"message":"11","stack":"12"},{"message":"11","stack":"12"},"ERROR","red","ann","boom","Error: boom\n    at Server.<anonymous> ([eval]:2:360)"]"#,
        "severity=error
         message=boom
         error.message=boom
         error.stack_trace=Error: boom⏎    at Server.<anonymous> ([eval]:2:360) (error.stack)",
    );
}
