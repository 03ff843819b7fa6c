//! Logging libraries that post to a path of the operator's choice.

use super::{lines, node};

#[tokio::test]
async fn pythons_http_handler_posts_a_form() {
    let node = node(|_| {}).await;
    let request = "POST /api/v1/ingest
        authorization: Basic PAIR
        content-type: application/x-www-form-urlencoded";
    let pair = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("shop:{}", node.token))
    };
    let body = "name=shop.pay&msg=user+%25s+paid+%25d&args=%28%27ann%27%2C+5%29&levelname=WARNING&levelno=30&pathname=%2Fapp%2Fpay.py&lineno=12&exc_info=None&funcName=pay&created=1735787045.25&process=42&processName=MainProcess&user=ann";
    let answer = node.ship(&request.replace("PAIR", &pair), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = "user ann paid 5 | warning | 2025-01-02T03:04:05.250Z | shop.pay | ann | -";
    let names = "message severity timestamp log.logger user.name error.stack_trace";
    assert_eq!(node.shown(names).await, expected);
    assert_eq!(node.events().await[0].raw(), body.as_bytes());
}

#[tokio::test]
async fn curl_claims_a_form_for_whatever_it_posts() {
    let node = node(|_| {}).await;
    let request = "POST /api/v1/ingest
        authorization: Bearer TOKEN
        content-type: application/x-www-form-urlencoded";
    assert_eq!(node.ship(request, "{\"message\":\"a & b\"}").await.status, 200);
    assert_eq!(node.ship(request, "").await.status, 400);
    assert_eq!(node.shown("message").await, "a & b");
}

#[tokio::test]
async fn winston_and_log4j_post_objects() {
    let node = node(|_| {}).await;
    let request =
        "POST /api/v1/ingest\nauthorization: Bearer TOKEN\ncontent-type: application/json";
    let winston = r#"[{"level":"warn","message":"paid","service":"shop"},{"level":"info","message":"again"}]"#;
    assert_eq!(node.ship(request, winston).await.status, 200);
    let log4j = concat!(
        r#"{"instant":{"epochSecond":1735787045,"nanoOfSecond":123456789},"thread":"main","level":"ERROR","loggerName":"shop.Pay","message":"failed","contextMap":{"user":"ann"}}"#,
        "\r\n"
    );
    assert_eq!(node.ship(request, log4j).await.status, 200);
    let expected = "paid | warning | - | -
        again | info | - | -
        failed | error | shop.Pay | ann";
    assert_eq!(node.shown("message severity log.logger user.name").await, lines(expected));
    assert!(node.shown("timestamp").await.ends_with("2025-01-02T03:04:05.123456789Z"));
}
