//! Clouds, and services that keep an audit log.

use super::check;

#[test]
fn amazon() {
    let trail = r#"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDA1","arn":"arn:aws:iam::111122223333:user/alice","accountId":"111122223333","userName":"alice"},"eventTime":"2026-01-02T03:04:05Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.9","userAgent":"aws-cli/2","errorCode":"AccessDenied","errorMessage":"not authorized","requestParameters":{"userName":"mallory"},"responseElements":null,"requestID":"r-1","eventID":"e-1","eventType":"AwsApiCall","recipientAccountId":"111122223333","eventCategory":"Management"}"#;
    check(
        trail,
        "at=2026-01-02T03:04:05Z
         event.id=e-1 (eventID)
         event.action=CreateUser (eventName)
         event.provider=iam.amazonaws.com (eventSource)
         event.outcome=failure
         error.code=AccessDenied (errorCode)
         user.name=alice (userIdentity.userName)
         user.target.name=mallory (requestParameters.userName)
         source.ip=192.0.2.9 (sourceIPAddress)
         user_agent.original=aws-cli/2 (userAgent)
         cloud.provider=aws
         cloud.region=us-east-1 (awsRegion)
         cloud.account.id=111122223333 (recipientAccountId)
         eventType=AwsApiCall
         event.code=-
         class=aws//cloudtrail
         dataset=aws.cloudtrail",
    );
    check(
        &format!(
            r#"{{"version":"0","account":"111122223333","source":"aws.iam","detail-type":"AWS API Call via CloudTrail","time":"2026-01-02T03:04:06Z","detail":{trail}}}"#
        ),
        "at=2026-01-02T03:04:06Z
         event.action=CreateUser (detail.eventName)
         user.name=alice (detail.userIdentity.userName)
         source.ip=192.0.2.9 (detail.sourceIPAddress)
         account=111122223333
         class=aws//cloudtrail",
    );
    for (said, outcome) in [("Success", "success"), ("Failure", "failure")] {
        check(
            &format!(
                r#"{{"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{{"type":"IAMUser","userName":"alice"}},"sourceIPAddress":"192.0.2.9","responseElements":{{"ConsoleLogin":"{said}"}}}}"#
            ),
            &format!(
                "event.outcome={outcome}\nevent.category=authentication\nclass=/authentication/;aws//cloudtrail"
            ),
        );
    }
    check(
        "2 123456789010 eni-1235b8ca123456789 192.0.2.9 203.0.113.9 49761 3389 6 20 4249 1767323000 1767323045 REJECT OK",
        "at=2026-01-02T03:04:05Z
         source.ip=192.0.2.9
         source.port=49761
         destination.ip=203.0.113.9
         destination.port=3389
         network.transport=tcp
         source.bytes=4249
         event.action=REJECT
         event.outcome=failure
         cloud.account.id=123456789010
         class=/firewall/
         dataset=aws.vpcflow",
    );
    check(
        "2 123456789010 eni-1 - - - - - - - 1767323000 1767323045 - NODATA",
        "source.ip=-\naws.vpcflow.log_status=NODATA\ndataset=aws.vpcflow",
    );
    vpc_flow_with_chosen_fields();
    check(
        r#"{"schemaVersion":"2.0","accountId":"111122223333","region":"us-east-1","id":"f-1","type":"UnauthorizedAccess:EC2/SSHBruteForce","resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"i-1"}},"service":{"serviceName":"guardduty","detectorId":"d","action":{"actionType":"NETWORK_CONNECTION","networkConnectionAction":{"remoteIpDetails":{"ipAddressV4":"203.0.113.9"}}}},"severity":8,"createdAt":"2026-01-02T03:04:05.678Z","updatedAt":"2026-01-02T03:05:05.678Z","title":"203.0.113.9 is performing SSH brute force attacks against i-1.","description":"d"}"#,
        "at=2026-01-02T03:05:05.678Z
         severity=error
         message=203.0.113.9 is performing SSH brute force attacks against i-1.
         rule.category=UnauthorizedAccess:EC2/SSHBruteForce (type)
         event.kind=alert
         event.severity=8 (severity)
         source.ip=203.0.113.9 (service.action.networkConnectionAction.remoteIpDetails.ipAddressV4)
         cloud.instance.id=i-1 (resource.instanceDetails.instanceId)
         class=aws//guardduty
         dataset=aws.guardduty",
    );
    let finding = r#"{"schemaVersion":"2.0","accountId":"111122223333","region":"us-east-1","id":"f-1","type":"Recon:EC2/PortProbeUnprotectedPort","resource":{"resourceType":"Instance","accessKeyDetails":{"userName":"alice","principalId":"AIDA1"}},"service":{"serviceName":"guardduty","detectorId":"d","action":{"actionType":"PORT_PROBE","portProbeAction":{"blocked":false,"portProbeDetails":[{"localPortDetails":{"port":22},"remoteIpDetails":{"ipAddressV4":"203.0.113.9"}},{"remoteIpDetails":{"ipAddressV4":"203.0.113.10"}}]}}},"severity":2,"createdAt":"2026-01-02T03:04:05.678Z","updatedAt":"2026-01-02T03:05:05.678Z","title":"Port probed."}"#;
    check(
        finding,
        "source.ip=203.0.113.9 203.0.113.10\nuser.name=alice (resource.accessKeyDetails.userName)",
    );
    check(
        &format!(
            r#"{{"version":"0","id":"e-1","detail-type":"GuardDuty Finding","source":"aws.guardduty","account":"111122223333","time":"2026-01-02T03:06:05Z","region":"us-east-1","resources":[],"detail":{finding}}}"#
        ),
        "at=2026-01-02T03:05:05.678Z
         message=Port probed.
         source.ip=203.0.113.9 203.0.113.10
         user.name=alice (detail.resource.accessKeyDetails.userName)
         user.id=AIDA1 (detail.resource.accessKeyDetails.principalId)
         event.id=f-1 (detail.id)
         class=aws//guardduty
         dataset=aws.guardduty",
    );
}

fn vpc_flow_with_chosen_fields() {
    let wanted = "at=2026-01-02T03:04:05Z
         source.ip=192.0.2.9
         source.port=49761
         destination.ip=203.0.113.9
         destination.port=3389
         event.action=REJECT
         event.outcome=failure
         cloud.account.id=123456789010
         cloud.instance.id=i-1
         dataset=aws.vpcflow";
    let known = format!("{wanted}\nnetwork.transport=tcp\nsource.bytes=4249");
    check(
        "5 123456789010 eni-1 192.0.2.9 203.0.113.9 49761 3389 6 20 4249 1767323000 1767323045 REJECT OK vpc-1 subnet-1 i-1 2 IPv4 192.0.2.9 203.0.113.9 us-east-1 use1-az1 - - - - ingress -",
        &format!(
            "{known}\ncloud.region=us-east-1\nnetwork.direction=inbound\naws.vpcflow.vpc_id=vpc-1"
        ),
    );
    check(
        "3 vpc-1 subnet-1 i-1 eni-1 123456789010 IPv4 192.0.2.9 203.0.113.9 49761 3389 192.0.2.9 203.0.113.9 6 4249 20 1767323000 1767323045 REJECT 2 OK",
        &known,
    );
    check(
        "4 us-east-1 eni-1 123456789010 i-1 192.0.2.9 203.0.113.9 49761 3389 6 20 4249 1767323000 1767323045 REJECT OK",
        wanted,
    );
    check("2 of them said eni-1 is gone", "dataset=shop\nclass=");
    check(
        r#"{"version":5,"account-id":"123456789010","interface-id":"eni-1","srcaddr":"192.0.2.9","dstaddr":"203.0.113.9","srcport":49761,"dstport":3389,"protocol":6,"packets":20,"bytes":4249,"start":1767323000,"end":1767323045,"action":"REJECT","log-status":"OK","instance-id":"i-1","flow-direction":"ingress"}"#,
        "at=2026-01-02T03:04:05Z
         source.ip=192.0.2.9 (srcaddr)
         source.port=49761 (srcport)
         destination.ip=203.0.113.9 (dstaddr)
         destination.port=3389 (dstport)
         network.transport=tcp
         network.direction=inbound
         source.bytes=4249 (bytes)
         event.action=REJECT (action)
         event.outcome=failure
         cloud.account.id=123456789010 (account-id)
         cloud.instance.id=i-1 (instance-id)
         class=/firewall/
         dataset=aws.vpcflow",
    );
}

#[test]
fn microsoft() {
    check(
        r#"{"time":"2026-01-02T03:04:05Z","resourceId":"/tenants/t/providers/Microsoft.aadiam","operationName":"Sign-in activity","category":"SignInLogs","resultType":"50126","resultDescription":"Invalid username or password","callerIpAddress":"192.0.2.9","correlationId":"c-1","identity":"Alice","location":"DE","properties":{"userPrincipalName":"alice@corp.example","userId":"u-1","appDisplayName":"Portal","ipAddress":"192.0.2.9","userAgent":"Mozilla","status":{"errorCode":50126,"failureReason":"Invalid username or password"}}}"#,
        "at=2026-01-02T03:04:05Z
         event.outcome=failure
         event.action=Sign-in activity (operationName)
         event.reason=Invalid username or password (resultDescription)
         user.name=alice@corp.example (properties.userPrincipalName)
         source.ip=192.0.2.9 (callerIpAddress)
         source.geo.country_iso_code=DE (location)
         service.name=Portal (properties.appDisplayName)
         class=azure//signinlogs;/authentication/
         dataset=azure",
    );
    check(
        r#"{"createdDateTime":"2026-01-02T03:04:05Z","userPrincipalName":"alice@corp.example","appDisplayName":"Portal","ipAddress":"192.0.2.9","status":{"errorCode":0}}"#,
        "at=2026-01-02T03:04:05Z\nevent.outcome=success\nsource.ip=192.0.2.9 (ipAddress)\nclass=azure//signinlogs;/authentication/",
    );
    check(
        r#"{"time":"2026-01-02T03:04:05Z","resourceId":"/SUBSCRIPTIONS/S","operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE","category":"Administrative","resultType":"Success","callerIpAddress":"192.0.2.9","level":"Information","caller":"alice@corp.example"}"#,
        "severity=info
         event.action=MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE (operationName)
         event.outcome=success
         user.name=alice@corp.example (caller)
         class=azure//activitylogs",
    );
    let upn = r#""http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":"alice@corp.example""#;
    check(
        &format!(
            r#"{{"time":"2026-01-02T03:04:05Z","operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE","category":"Administrative","resultType":"Success","callerIpAddress":"192.0.2.9","identity":{{"claims":{{{upn},"name":"Alice A"}}}}}}"#
        ),
        "user.name=alice@corp.example (identity.claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn)",
    );
    check(
        &format!(
            r#"{{"authorization":{{"action":"Microsoft.Compute/virtualMachines/write"}},"claims":{{{upn},"ipaddr":"192.0.2.8"}},"correlationId":"c-1","eventDataId":"e-1","category":{{"value":"Administrative","localizedValue":"Verwaltung"}},"eventTimestamp":"2026-01-02T03:04:05Z","level":"Informational","operationName":{{"value":"Microsoft.Compute/virtualMachines/write","localizedValue":"Create"}},"status":{{"value":"Failed","localizedValue":"Failed"}},"subscriptionId":"s","httpRequest":{{"clientIpAddress":"192.0.2.9","method":"PUT"}}}}"#
        ),
        "at=2026-01-02T03:04:05Z
         severity=info
         event.action=Microsoft.Compute/virtualMachines/write (operationName.value)
         event.outcome=failure
         user.name=alice@corp.example (claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn)
         source.ip=192.0.2.9 (httpRequest.clientIpAddress)
         class=azure//activitylogs
         dataset=azure",
    );
    check(
        r#"{"TimeGenerated":"2026-01-02T03:04:05Z","OperationName":"Add member to role","Category":"RoleManagement","Result":"success","InitiatedBy":{"user":{"userPrincipalName":"alice@corp.example"}}}"#,
        "event.action=Add member to role (OperationName)\nuser.name=alice@corp.example (InitiatedBy.user.userPrincipalName)\nclass=azure//auditlogs",
    );
    check(
        r#"{"CreationTime":"2026-01-02T03:04:05","Id":"i-1","Operation":"UserLoginFailed","OrganizationId":"o","RecordType":15,"ResultStatus":"Failed","UserKey":"k","UserType":0,"Workload":"AzureActiveDirectory","ClientIP":"192.0.2.9","UserId":"alice@corp.example"}"#,
        "at=2026-01-02T03:04:05Z
         event.action=UserLoginFailed (Operation)
         event.outcome=failure
         ResultStatus=Failed
         user.name=alice@corp.example (UserId)
         source.ip=192.0.2.9 (ClientIP)
         class=m365//audit;/authentication/
         dataset=m365.audit",
    );
    check(
        r#"{"CreationTime":"2026-01-02T03:04:05","Operation":"New-InboxRule","RecordType":1,"ResultStatus":"True","Workload":"Exchange","ClientIP":"192.0.2.9:50123","UserId":"bob@corp.example"}"#,
        "event.action=New-InboxRule (Operation)\nsource.ip=192.0.2.9\nsource.port=50123\nclass=m365//exchange;m365//audit",
    );
}

#[test]
fn google() {
    check(
        r#"{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","status":{"code":7,"message":"PERMISSION_DENIED"},"authenticationInfo":{"principalEmail":"alice@corp.example"},"requestMetadata":{"callerIp":"192.0.2.9","callerSuppliedUserAgent":"gcloud"},"serviceName":"iam.googleapis.com","methodName":"google.iam.admin.v1.CreateServiceAccountKey"},"insertId":"i-1","resource":{"type":"service_account","labels":{"project_id":"p-1"}},"timestamp":"2026-01-02T03:04:05.678Z","severity":"ERROR","logName":"projects/p-1/logs/cloudaudit.googleapis.com%2Factivity"}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=error
         event.id=i-1 (insertId)
         event.action=google.iam.admin.v1.CreateServiceAccountKey (protoPayload.methodName)
         event.outcome=failure
         user.name=alice@corp.example (protoPayload.authenticationInfo.principalEmail)
         source.ip=192.0.2.9 (protoPayload.requestMetadata.callerIp)
         error.message=PERMISSION_DENIED (protoPayload.status.message)
         cloud.account.id=p-1 (resource.labels.project_id)
         class=gcp//gcp.audit
         dataset=gcp.audit",
    );
    check(
        r#"{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"login.googleapis.com","methodName":"google.login.LoginService.loginFailure"},"timestamp":"2026-01-02T03:04:05Z"}"#,
        "class=/authentication/;gcp//google_workspace.login;gcp//gcp.audit",
    );
    check(
        r#"{"kind":"admin#reports#activity","id":{"time":"2026-01-02T03:04:05.678Z","uniqueQualifier":"1","applicationName":"login"},"actor":{"email":"alice@corp.example","profileId":"p"},"ipAddress":"192.0.2.9","events":[{"type":"login","name":"login_failure"}]}"#,
        "at=2026-01-02T03:04:05.678Z
         event.outcome=failure
         user.name=alice@corp.example (actor.email)
         source.ip=192.0.2.9 (ipAddress)
         class=gcp//google_workspace.login;/authentication/",
    );
}

#[test]
fn okta_and_auth0() {
    check(
        r#"{"actor":{"id":"00u1","type":"User","alternateId":"alice@corp.example","displayName":"Alice"},"client":{"userAgent":{"rawUserAgent":"Mozilla"},"ipAddress":"192.0.2.9","geographicalContext":{"country":"Germany"}},"authenticationContext":{"externalSessionId":"s-1"},"displayMessage":"User login to Okta","eventType":"user.session.start","outcome":{"result":"FAILURE","reason":"INVALID_CREDENTIALS"},"published":"2026-01-02T03:04:05.678Z","severity":"WARN","legacyEventType":"core.user_auth.login_failed","transaction":{"type":"WEB","id":"t-1"},"uuid":"u-1","target":null}"#,
        "at=2026-01-02T03:04:05.678Z
         severity=warning
         message=User login to Okta
         event.id=u-1 (uuid)
         event.action=user.session.start (eventType)
         event.outcome=failure
         outcome.result=FAILURE
         event.reason=INVALID_CREDENTIALS (outcome.reason)
         user.name=alice@corp.example (actor.alternateId)
         source.ip=192.0.2.9 (client.ipAddress)
         session.id=s-1 (authenticationContext.externalSessionId)
         class=okta//okta;/authentication/
         dataset=okta.system",
    );
    check(
        r#"{"log_id":"9","data":{"log_id":"9","date":"2026-01-02T03:04:05.678Z","type":"fp","description":"Wrong email or password.","client_name":"Shop","ip":"192.0.2.9","user_agent":"Mozilla","user_id":"auth0|1","user_name":"alice@corp.example"}}"#,
        "at=2026-01-02T03:04:05.678Z
         message=Wrong email or password.
         event.action=login
         event.outcome=failure
         event.code=fp (data.type)
         user.name=alice@corp.example (data.user_name)
         source.ip=192.0.2.9 (data.ip)
         class=/authentication/;auth0//auth0
         dataset=auth0",
    );
    check(
        r#"{"log_id":"9","date":"2026-01-02T03:04:05.678Z","type":"s","user_name":"alice","ip":"192.0.2.9"}"#,
        "at=2026-01-02T03:04:05.678Z\nevent.outcome=success",
    );
    check(
        r#"{"log_id":"9","date":"2026-01-02T03:04:05.678Z","type":"sapi","user_name":"alice"}"#,
        "event.outcome=-\nclass=auth0//auth0",
    );
}

#[test]
fn github_gitlab_and_bitbucket() {
    check(
        r#"{"@timestamp":1767323045678,"_document_id":"d-1","action":"repo.access","actor":"alice","actor_ip":"192.0.2.9","actor_location":{"country_code":"DE"},"created_at":1767323045678,"org":"corp","repo":"corp/shop","user":"bob","visibility":"public"}"#,
        "at=2026-01-02T03:04:05.678Z
         event.action=repo.access (action)
         user.name=alice (actor)
         user.target.name=bob (user)
         source.ip=192.0.2.9 (actor_ip)
         source.geo.country_iso_code=DE (actor_location.country_code)
         organization.name=corp (org)
         class=github//audit
         dataset=github.audit",
    );
    check(
        r#"{"severity":"INFO","time":"2026-01-02T03:04:05.678Z","correlation_id":"c","author_id":3,"author_name":"alice","entity_id":4,"entity_type":"Project","change":"visibility","from":"Private","to":"Public","target_details":"corp/shop"}"#,
        "at=2026-01-02T03:04:05.678Z\nevent.action=visibility (change)\nuser.name=alice (author_name)\nclass=gitlab//audit\ndataset=gitlab",
    );
    check(
        r#"{"method":"GET","path":"/corp/shop","format":"html","controller":"ProjectsController","action":"show","status":200,"time":"2026-01-02T03:04:05.678Z","remote_ip":"192.0.2.9","user_id":1,"username":"alice","ua":"Mozilla","correlation_id":"c","meta.caller_id":"ProjectsController#show"}"#,
        "source.ip=192.0.2.9 (remote_ip)\nuser.name=alice (username)\nhttp.response.status_code=200 (status)\nclass=/webserver/\ndataset=gitlab",
    );
    check(
        r#"{"auditType":{"action":"Global permission changed","category":"Permissions"},"author":{"name":"alice","id":"2"},"timestamp":"2026-01-02T03:04:05.678Z"}"#,
        "event.action=Global permission changed (auditType.action)\nuser.name=alice (author.name)\nclass=bitbucket//audit",
    );
}

#[test]
fn who_is_impersonated_in_kubernetes_is_the_effective_user() {
    let record = |also: &str| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","verb":"get","user":{{"username":"bob"}}{also}}}"#
        )
    };
    check(
        &record(r#","impersonatedUser":{"username":"system:admin"}"#),
        "user.name=bob (user.username)\nuser.effective.name=system:admin (impersonatedUser.username)",
    );
    check(&record(""), "user.name=bob (user.username)\nuser.effective.name=-");
}

#[test]
fn a_refused_login_at_google_is_no_success() {
    for (method, outcome) in [("loginFailure", "failure"), ("loginSuccess", "success")] {
        let record = format!(
            r#"{{"protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{{"principalEmail":"bob@shop.example"}},"serviceName":"login.googleapis.com","methodName":"google.login.LoginService.{method}"}},"timestamp":"2026-01-02T03:04:05.6Z"}}"#
        );
        check(&record, &format!("event.outcome={outcome}\nevent.category=authentication"));
    }
}

#[test]
fn changes_in_entra_say_how_they_ended() {
    for (record, outcome) in [
        (
            r#"{"operationName":"Add member to role","category":"AuditLogs","resultType":"","properties":{"result":"success"}}"#,
            "success (properties.result)",
        ),
        (
            r#"{"operationName":"Add member to role","category":"AuditLogs","result":"failure"}"#,
            "failure (result)",
        ),
    ] {
        check(record, &format!("event.outcome={outcome}"));
    }
}
