//! Web servers, proxies and gateways.

use super::check;

#[test]
fn access_logs_in_the_common_and_combined_format() {
    let combined = r#"192.0.2.9 - alice [02/Jan/2026:03:04:05 +0000] "GET /a/b?x=1&y=../../etc HTTP/1.1" 404 153 "https://shop.example/" "Mozilla/5.0 (\"quoted\")""#;
    let wanted = "at=2026-01-02T03:04:05Z
         source.ip=192.0.2.9
         user.name=alice
         http.request.method=GET
         url.original=/a/b?x=1&y=../../etc
         url.path=/a/b
         url.query=x=1&y=../../etc
         http.version=1.1
         http.response.status_code=404
         http.response.body.bytes=153
         http.request.referrer=https://shop.example/
         user_agent.original=Mozilla/5.0 (\"quoted\")
         class=/webserver/";
    check(combined, &format!("{wanted}\ndataset=web.access"));
    check(
        &format!("<190>Jan  2 03:04:05 web-1 nginx: {combined}"),
        &format!("{wanted}\ndataset=nginx"),
    );
    check(
        &serde_json::json!({"message": combined, "log": {"file": {"path": "/var/log/nginx/access.log"}}}).to_string(),
        &format!("{wanted}\ndataset=web.access\nmessage={combined}\nlog.file.path=/var/log/nginx/access.log"),
    );
    check(
        r#"2001:db8::1 - - [02/Jan/2026:03:04:05 +0100] "\x16\x03\x01" 400 -"#,
        "at=2026-01-02T02:04:05Z\nsource.ip=2001:db8::1\nuser.name=-\nhttp.response.status_code=400\nhttp.response.body.bytes=-\nurl.original=\\x16\\x03\\x01",
    );
    check(
        r#"shop.example:443 192.0.2.9 - - [02/Jan/2026:03:04:05 +0000] "POST /login HTTP/2.0" 200 5 "-" "curl/8""#,
        "source.ip=192.0.2.9\nurl.domain=shop.example\ndestination.port=443\nhttp.request.method=POST\nuser_agent.original=curl/8",
    );
    // Traefik writes more behind the agent.
    check(
        r#"192.0.2.9 - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" 1 "shop@docker" "http://172.17.0.2:80" 3ms"#,
        "source.ip=192.0.2.9\nhttp.response.status_code=200",
    );
    check("a user said [hello] \"to\" me 200 times", "class=\nsource.ip=-");
    check("host - [02/Jan/2026:03:04:05 +0000] \"x\" 200 1", "class=");
}

#[test]
fn error_logs_of_nginx_and_apache() {
    check(
        r#"2026/01/02 03:04:05 [error] 31#31: *2 open() "/srv/x" failed (2: No such file or directory), client: 192.0.2.9, server: shop.example, request: "GET /x?client: 1 HTTP/1.1", host: "shop.example""#,
        "at=2026-01-02T03:04:05Z
         severity=error
         process.pid=31
         source.ip=192.0.2.9
         url.domain=shop.example
         http.request.method=GET
         url.path=/x
         error.message=open() \"/srv/x\" failed (2: No such file or directory)
         dataset=nginx
         class=nginx//nginx;//nginx",
    );
    check(
        r#"2026/01/02 03:04:05 [error] 31#31: *2 user "bob": password mismatch, client: 192.0.2.9, server: shop.example, request: "GET / HTTP/1.1", host: "shop.example""#,
        "event.outcome=failure\nuser.name=bob\nsource.ip=192.0.2.9\nclass=nginx//nginx;//nginx;/authentication/",
    );
    check(
        r#"2026/01/02 03:04:05 [error] 31#31: *2 user "eve" was not found in "/etc/nginx/.htpasswd", client: 192.0.2.9, server: x, request: "GET / HTTP/1.1""#,
        "event.outcome=failure\nuser.name=eve",
    );
    check(
        "2026/01/02 03:04:05 [notice] 1#1: signal process started",
        "severity=notice\nmessage=signal process started\nsource.ip=-",
    );
    check(
        "[Wed Jan 07 14:32:52.123456 2026] [auth_basic:error] [pid 35708:tid 4328636416] [client 192.0.2.9:51622] AH01617: user bob: authentication failure for \"/admin\": Password Mismatch",
        "at=2026-01-07T14:32:52.123456Z
         severity=error
         log.logger=auth_basic
         process.pid=35708
         source.ip=192.0.2.9
         source.port=51622
         event.code=AH01617
         user.name=bob
         event.outcome=failure
         class=apache//apache;//apache;/authentication/
         dataset=apache",
    );
    check(
        "[Sun Dec 04 04:47:44 2005] [error] [client 192.0.2.9] Directory index forbidden by rule: /var/www/html/",
        "at=2005-12-04T04:47:44Z\nseverity=error\nsource.ip=192.0.2.9\nmessage=Directory index forbidden by rule: /var/www/html/",
    );
}

#[test]
fn haproxy_writes_http_and_tcp() {
    check(
        r#"<134>Feb 10 06:55:46 lb haproxy[14389]: 192.0.2.9:33317 [06/Feb/2026:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {shop.example} {} "GET /index.html?q=1 HTTP/1.1""#,
        "source.ip=192.0.2.9
         source.port=33317
         haproxy.frontend=http-in
         haproxy.backend=static
         haproxy.server=srv1
         event.duration=109000000
         http.response.status_code=200
         http.response.body.bytes=2750
         http.request.method=GET
         url.path=/index.html
         url.query=q=1
         class=/webserver/
         dataset=haproxy",
    );
    check(
        "<134>Feb 10 06:55:46 lb haproxy[14387]: 192.0.2.9:33313 [06/Feb/2026:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
        "source.ip=192.0.2.9\ndestination.bytes=212\nevent.duration=5007000000\nevent.category=network\nclass=",
    );
    check(
        "<134>Feb 10 06:55:46 lb haproxy[14387]: 192.0.2.9:33313 [06/Feb/2026:12:12:51.443] https-in~/1: SSL handshake failure",
        "source.ip=192.0.2.9
         source.port=33313
         haproxy.frontend=https-in
         event.category=network
         event.action=connection_failed
         event.outcome=failure
         error.message=SSL handshake failure
         dataset=haproxy",
    );
}

#[test]
fn envoy_in_text_and_json() {
    check(
        r#"[2026-01-02T03:04:05.678Z] "GET /status/200?a=b HTTP/1.1" 200 - via_upstream - "-" 0 42 5 4 "192.0.2.9,10.0.0.1" "curl/8" "7d4a" "shop.example" "10.0.0.5:80" inbound|80||"#,
        "at=2026-01-02T03:04:05.678Z
         source.ip=192.0.2.9
         http.request.method=GET
         url.path=/status/200
         http.response.status_code=200
         http.request.bytes=0
         http.response.body.bytes=42
         event.duration=5000000
         user_agent.original=curl/8
         http.request.id=7d4a
         url.domain=shop.example
         destination.ip=10.0.0.5
         destination.port=80
         class=/webserver/
         dataset=envoy",
    );
    check(
        r#"{"start_time":"2026-01-02T03:04:05.678Z","method":"GET","path":"/a?b=c","protocol":"HTTP/2","response_code":503,"response_flags":"UH","bytes_received":0,"bytes_sent":19,"duration":0,"upstream_host":null,"x_forwarded_for":"192.0.2.9","user_agent":"curl/8","request_id":"7d4a","authority":"shop.example"}"#,
        "at=2026-01-02T03:04:05.678Z
         source.ip=192.0.2.9 (x_forwarded_for)
         http.response.status_code=503 (response_code)
         url.original=/a?b=c (path)
         url.path=/a
         url.query=b=c
         url.domain=shop.example (authority)
         class=/webserver/
         dataset=envoy",
    );
}

#[test]
fn gateways_that_write_json() {
    check(
        r#"{"ClientAddr":"192.0.2.9:5123","ClientHost":"192.0.2.9","ClientPort":"5123","ClientUsername":"-","DownstreamContentSize":19,"DownstreamStatus":404,"Duration":123456,"RequestHost":"shop.example","RequestMethod":"GET","RequestPath":"/a?b=c","RequestProtocol":"HTTP/1.1","RouterName":"shop@docker","StartUTC":"2026-01-02T03:04:05.678Z","level":"info","msg":"","time":"2026-01-02T03:04:06Z","request_User-Agent":"curl/8"}"#,
        "at=2026-01-02T03:04:05.678Z
         source.ip=192.0.2.9 (ClientHost)
         http.request.method=GET (RequestMethod)
         http.response.status_code=404 (DownstreamStatus)
         url.original=/a?b=c (RequestPath)
         url.path=/a
         url.domain=shop.example (RequestHost)
         event.duration=123456 (Duration)
         user_agent.original=curl/8 (request_User-Agent)
         class=/webserver/
         dataset=traefik",
    );
    check(
        r#"{"latencies":{"request":515,"kong":58,"proxy":457},"service":{"host":"h","name":"shop","port":80},"request":{"querystring":{},"size":138,"uri":"/get?x=1","url":"http://shop.example:8000/get","headers":{"host":"shop.example","user-agent":"curl/8"},"method":"GET"},"client_ip":"192.0.2.9","consumer":{"username":"alice"},"upstream_uri":"/get","response":{"headers":{},"size":434,"status":200},"started_at":1767323045678}"#,
        "at=2026-01-02T03:04:05.678Z
         source.ip=192.0.2.9 (client_ip)
         user.name=alice (consumer.username)
         service.name=shop
         http.request.method=GET (request.method)
         http.response.status_code=200 (response.status)
         url.original=/get?x=1 (request.uri)
         url.query=x=1
         class=/webserver/
         dataset=kong",
    );
    check(
        r#"{"time_iso8601":"2026-01-02T03:04:05+00:00","remote_addr":"192.0.2.9","remote_user":"","request_method":"GET","request_uri":"/a?b=c","status":"200","body_bytes_sent":"5","http_user_agent":"curl/8","http_referer":"","request_time":"0.005"}"#,
        "at=2026-01-02T03:04:05Z
         source.ip=192.0.2.9 (remote_addr)
         http.response.status_code=200 (status)
         url.original=/a?b=c (request_uri)
         user_agent.original=curl/8 (http_user_agent)
         event.category=web
         class=/webserver/
         dataset=nginx",
    );
    check(
        r#"{"time_local":"02/Jan/2026:03:04:05 +0000","remote_addr":"192.0.2.9","remote_user":"alice","request":"POST /a?b=c HTTP/1.1","status":404,"body_bytes_sent":5}"#,
        "at=2026-01-02T03:04:05Z
         user.name=alice (remote_user)
         http.request.method=POST
         url.original=/a?b=c
         url.path=/a
         url.query=b=c
         http.version=1.1
         request=POST /a?b=c HTTP/1.1
         class=/webserver/
         dataset=nginx",
    );
    check(
        r#"{"remote_addr":"192.0.2.9","request":"GET / HTTP/2.0","status":200}"#,
        "url.path=/\nhttp.version=2.0\ndataset=nginx",
    );
    check(r#"{"request":"what I asked HTTP/ for"}"#, "http.request.method=-");
    check(
        r#"{"c-ip":"192.0.2.9","cs-host":"shop.example","cs-method":"GET","c-uri":"https://shop.example/a","sc-status":200}"#,
        "source.ip=192.0.2.9 (c-ip)\nurl.original=https://shop.example/a (c-uri)\nclass=/proxy/",
    );
}

#[test]
fn a_client_of_ipv6_has_its_port_behind_the_last_colon() {
    check(
        "[Thu Jan 01 03:04:05.678901 2026] [core:error] [pid 7] [client 2001:db8::9:443] AH00037: no",
        "source.ip=2001:db8::9\nsource.port=443",
    );
    check(
        "[Thu Jan 01 03:04:05.678901 2026] [core:error] [pid 7] [client ::1:55221] AH00037: no",
        "source.ip=::1\nsource.port=55221",
    );
    check(
        "[Thu Jan  1 03:04:05 2026] [error] [client 2001:db8::9] File does not exist: /x",
        "source.ip=2001:db8::9\nsource.port=-",
    );
    check(
        r#"<134>Jan  2 03:04:05 lb haproxy[1]: 2001:db8::9:33317 [02/Jan/2026:03:04:04.655] in st/s1 0/0/0/1/1 503 10 - - SC-- 1/1/0/0/0 0/0 "GET / HTTP/2.0""#,
        "source.ip=2001:db8::9\nsource.port=33317\nhttp.response.status_code=503",
    );
}

#[test]
fn haproxy_tells_of_connections_by_default() {
    check(
        "<134>Jan  2 03:04:05 lb haproxy[9]: Connect from 2001:db8::9:44444 to 192.0.2.1:80 (www/HTTP)",
        "source.ip=2001:db8::9
         source.port=44444
         destination.ip=192.0.2.1
         destination.port=80
         haproxy.frontend=www
         event.category=network",
    );
}
