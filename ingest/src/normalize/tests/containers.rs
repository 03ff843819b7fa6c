//! Container runtimes, and what stands inside their records.

use super::check;

#[test]
fn a_record_of_docker_is_an_envelope() {
    check(
        r#"{"log":"{\"level\":40,\"time\":1767323045678,\"pid\":1,\"hostname\":\"c1\",\"name\":\"shop\",\"msg\":\"slow\"}\n","stream":"stdout","time":"2026-01-02T03:04:06.123456789Z"}"#,
        "at=2026-01-02T03:04:05.678Z
         message=slow
         severity=warning
         service.name=shop (name)
         stream=stdout",
    );
    check(
        r#"{"log":"2026/01/02 03:04:05 [error] 7#7: *1 boom, client: 192.0.2.9, server: x\n","stream":"stderr","time":"2026-01-02T03:04:06.5Z"}"#,
        "at=2026-01-02T03:04:06.500Z
         severity=error
         source.ip=192.0.2.9
         message=2026/01/02 03:04:05 [error] 7#7: *1 boom, client: 192.0.2.9, server: x
         dataset=nginx",
    );
    check(
        r#"{"log":"plain text\n","stream":"stdout","time":"2026-01-02T03:04:06.5Z"}"#,
        "at=2026-01-02T03:04:06.500Z\nmessage=plain text\ndataset=shop\nclass=",
    );
}

#[test]
fn a_line_of_a_kubernetes_node_is_an_envelope() {
    check(
        r#"2026-01-02T03:04:06.123456789Z stdout F {"level":"error","ts":1767323045.5,"caller":"a.go:1","msg":"boom"}"#,
        "at=2026-01-02T03:04:05.500Z\nmessage=boom\nseverity=error\nstream=stdout\ncaller=a.go:1",
    );
    check(
        "2026-01-02T03:04:06.123456789+00:00 stderr F [INFO] 10.244.0.5:43251 - 17 \"AAAA IN c2.example. udp 41 false 4096\" NXDOMAIN qr,rd,ra 116 0.003s",
        "at=2026-01-02T03:04:06.123456789Z
         dns.question.name=c2.example
         dns.question.type=AAAA
         dns.response_code=NXDOMAIN
         source.ip=10.244.0.5
         dataset=dns.coredns
         class=/dns/",
    );
    check("2026-01-02T03:04:06Z stdout P a piece", "message=a piece\nlw.partial=true");
    check("2026-01-02T03:04:06Z stdout F ", "at=2026-01-02T03:04:06Z\nstream=stdout");
    check("2026-01-02T03:04:06Z stdout X y", "stream=-");
}

#[test]
fn envelopes_are_opened_once() {
    let inner = "2026-01-02T03:04:05Z stdout F 2026-01-02T03:04:06Z stdout F 2026-01-02T03:04:07Z stdout F x";
    check(
        inner,
        "message=2026-01-02T03:04:06Z stdout F 2026-01-02T03:04:07Z stdout F x\nstream=stdout",
    );
    check(
        r#"{"log":"{\"log\":\"{\\\"a\\\":1}\",\"b\":2}","stream":"stdout"}"#,
        "b=2\na=-\nmessage={\"a\":1}",
    );
}

#[test]
fn events_of_the_engine_and_of_the_cluster() {
    check(
        r#"{"status":"die","id":"f00d","from":"shop:1","Type":"container","Action":"die","Actor":{"ID":"f00d","Attributes":{"exitCode":"137","image":"shop:1","name":"shop_1"}},"scope":"local","time":1767323045,"timeNano":1767323045678901234}"#,
        "at=2026-01-02T03:04:05.678901234Z
         event.action=die (Action)
         container.id=f00d (Actor.ID)
         container.name=shop_1 (Actor.Attributes.name)
         container.image.name=shop:1 (Actor.Attributes.image)
         process.exit_code=137 (Actor.Attributes.exitCode)
         dataset=docker.events",
    );
    check(
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a-1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/shop/exec?command=sh","verb":"create","user":{"username":"alice","groups":["devs","system:authenticated"]},"sourceIPs":["192.0.2.9"],"userAgent":"kubectl/1.30","objectRef":{"resource":"pods","namespace":"default","name":"shop","subresource":"exec"},"responseStatus":{"metadata":{},"code":403,"reason":"Forbidden"},"requestReceivedTimestamp":"2026-01-02T03:04:05.678901Z","stageTimestamp":"2026-01-02T03:04:06.678901Z"}"#,
        "at=2026-01-02T03:04:05.678901Z
         severity=info
         event.id=a-1 (auditID)
         event.action=create (verb)
         event.outcome=failure
         user.name=alice (user.username)
         user.roles=devs (user.groups) system:authenticated (user.groups)
         source.ip=192.0.2.9 (sourceIPs)
         url.original=/api/v1/namespaces/default/pods/shop/exec?command=sh (requestURI)
         http.response.status_code=403 (responseStatus.code)
         orchestrator.resource.type=pods (objectRef.resource)
         orchestrator.resource.name=shop (objectRef.name)
         orchestrator.namespace=default (objectRef.namespace)
         class=kubernetes//audit;kubernetes/application/audit
         dataset=kubernetes.audit",
    );
}
