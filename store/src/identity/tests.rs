//! Users, tokens and sessions over the simulated catalog.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::Store;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "tide over the mill";

/// The same key every time.
fn seal() -> Seal {
    Seal::new(&[7; 32])
}

async fn open(seed: u64) -> (Arc<Identity>, Store, crate::Simulation) {
    let (store, simulation) = Store::simulated(seed);
    let identity =
        Identity::open(store.catalog.clone(), store.clock.clone(), seal()).await.expect("opened");
    (identity, store, simulation)
}

fn token(name: &str) -> NewToken {
    NewToken {
        name: name.to_owned(),
        role: Role::Ingest.to_string(),
        source: Some("shop".to_owned()),
        filter: None,
        expires_at: None,
    }
}

#[tokio::test]
async fn a_token_works_until_it_is_revoked_or_expires() {
    let (identity, _, simulation) = open(1).await;
    let made = identity.create_token(token("shipper")).await.expect("made");
    assert!(made.starts_with("lw_") && made.len() == 3 + 43, "{made}");
    let principal = identity.authenticate_token(&made).expect("known");
    assert_eq!((principal.name.as_str(), principal.role), ("shipper", Role::Ingest));
    assert_eq!(principal.source.as_deref(), Some("shop"));
    assert_eq!(identity.authenticate_token("lw_other"), None);
    let taken = identity.create_token(token("shipper")).await;
    assert!(matches!(taken, Err(IdentityError::Taken(_))));

    for source in ["", "ed\u{1b}[2Jge", "ed\r\nge", "\u{85}", &"x".repeat(129), "logwarden.audit"] {
        let named = NewToken { source: Some(source.to_owned()), ..token("misnamed") };
        let refused = identity.create_token(named).await;
        assert!(matches!(refused, Err(IdentityError::BadSource)), "{source:?}: {refused:?}");
    }

    let ours = NewToken { source: None, ..token("Logwarden.health") };
    let refused = identity.create_token(ours).await;
    assert!(matches!(refused, Err(IdentityError::BadSource)), "{refused:?}");

    identity.revoke_token("shipper").await.expect("revoked");
    assert_eq!(identity.authenticate_token(&made), None);
    assert!(identity.list_tokens()[0].is_revoked);

    let other = identity.create_token(token("other")).await.expect("made");
    simulation.advance(Duration::from_secs(367 * 24 * 3600));
    assert_eq!(identity.authenticate_token(&other), None);
}

#[tokio::test]
async fn a_change_by_another_process_is_seen_after_a_refresh() {
    let (identity, store, _) = open(2).await;
    let beside =
        Identity::open(store.catalog.clone(), store.clock.clone(), seal()).await.expect("opened");
    let made = beside.create_token(token("shipper")).await.expect("made");
    assert_eq!(identity.authenticate_token(&made), None);
    identity.refresh().await.expect("refreshed");
    assert!(identity.authenticate_token(&made).is_some());
    beside.revoke_token("shipper").await.expect("revoked");
    identity.refresh().await.expect("refreshed");
    assert_eq!(identity.authenticate_token(&made), None);
}

#[tokio::test]
async fn the_first_administrator_is_made_once_with_the_code() {
    let (identity, _, _) = open(3).await;
    let old = identity.setup_code().await.expect("kept").expect("needed");
    let code = identity.setup_code().await.expect("kept").expect("needed");
    for wrong in ["", "guess", &old] {
        let refused = identity.complete_setup(wrong, "ana", PASSWORD).await;
        assert!(matches!(refused, Err(SetupError::WrongCode)), "{refused:?}");
    }
    let weak = identity.complete_setup(&code, "ana", "short").await;
    assert!(matches!(weak, Err(SetupError::Identity(IdentityError::Password(_)))));
    identity.complete_setup(&code, "ana", PASSWORD).await.expect("done");
    let again = identity.complete_setup(&code, "eve", PASSWORD).await;
    assert!(matches!(again, Err(SetupError::Done)));
    assert_eq!(identity.setup_code().await.expect("read"), None);
    assert_eq!(identity.list_users().len(), 1);
    let last = identity.delete_user("ana").await;
    assert!(matches!(last, Err(IdentityError::LastAdministrator(_))));
}

#[tokio::test]
async fn people_have_no_role_of_programs() {
    let (identity, _, _) = open(1).await;
    let password = "correct horse battery staple";
    identity.create_user("ben", "reader", password).await.expect("made");
    for role in ["ingest", "metrics"] {
        for refused in [
            identity.create_user("ana", role, password).await,
            identity.set_role("ben", role).await,
        ] {
            assert!(matches!(refused, Err(IdentityError::RoleOfTokens(_))), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_session_ends_with_sign_out_password_and_role() {
    let (identity, _, _) = open(4).await;
    identity.create_user("ana", Role::Admin.as_str(), PASSWORD).await.expect("made");
    identity.create_user("ben", Role::Reader.as_str(), PASSWORD).await.expect("made");
    let taken = identity.create_user("ben", Role::Admin.as_str(), "another long password").await;
    assert!(matches!(taken, Err(IdentityError::Taken(_))));
    let wrong = identity.sign_in("ben", "tide under the mill", PEER).await;
    assert!(matches!(wrong, Err(SignInError::BadCredentials)));
    let nobody = identity.sign_in("eve", PASSWORD, PEER).await;
    assert!(matches!(nobody, Err(SignInError::BadCredentials)));

    let session = identity.sign_in("ben", PASSWORD, PEER).await.expect("signed in");
    let principal = identity.authenticate_session(session.expose()).expect("known");
    assert_eq!((principal.name.as_str(), principal.kind), ("ben", PrincipalKind::User));
    identity.sign_out(session.expose()).await.expect("signed out");
    assert_eq!(identity.authenticate_session(session.expose()), None);

    for change in ["password", "role", "delete"] {
        let session = identity.sign_in("ben", PASSWORD, PEER).await.expect("signed in");
        assert!(identity.authenticate_session(session.expose()).is_some());
        match change {
            "password" => identity.set_password("ben", PASSWORD).await.expect("changed"),
            "role" => identity.set_role("ben", "analyst").await.expect("changed"),
            _ => identity.delete_user("ben").await.expect("deleted"),
        }
        assert_eq!(identity.authenticate_session(session.expose()), None, "{change}");
    }
}

#[tokio::test]
async fn a_session_ends_unused_after_a_day() {
    let (identity, _, simulation) = open(5).await;
    identity.create_user("ana", Role::Reader.as_str(), PASSWORD).await.expect("made");
    let session = identity.sign_in("ana", PASSWORD, PEER).await.expect("signed in");
    for _ in 0..6 {
        simulation.advance(Duration::from_secs(23 * 3600));
        assert!(identity.authenticate_session(session.expose()).is_some());
    }
    simulation.advance(Duration::from_secs(24 * 3600));
    assert_eq!(identity.authenticate_session(session.expose()), None);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_counts_once() {
    let (identity, _, simulation) = open(7).await;
    identity.create_user("ana", Role::Admin.as_str(), PASSWORD).await.expect("made");
    let secret = identity.new_second_factor();
    let code = || totp::code_now(&secret, identity.now());
    let wrong = identity.set_second_factor("ana", &secret, "000000x").await;
    assert!(matches!(wrong, Err(SignInError::BadCredentials)));
    let shown = code();
    identity.set_second_factor("ana", &secret, &shown).await.expect("set");
    assert!(identity.list_users()[0].has_second_factor);

    let without = identity.sign_in("ana", PASSWORD, PEER).await;
    assert!(matches!(without, Err(SignInError::SecondFactor)), "{without:?}");
    let wrong_password = identity.sign_in_with("ana", "another one", Some(&shown), PEER).await;
    assert!(matches!(wrong_password, Err(SignInError::BadCredentials)));
    let again = identity.sign_in_with("ana", PASSWORD, Some(&shown), PEER).await;
    assert!(matches!(again, Err(SignInError::BadCredentials)), "it counted when it was set");
    simulation.advance(Duration::from_secs(60));
    let fresh = code();
    identity.sign_in_with("ana", PASSWORD, Some(&fresh), PEER).await.expect("signed in");
    let replayed = identity.sign_in_with("ana", PASSWORD, Some(&fresh), PEER).await;
    assert!(matches!(replayed, Err(SignInError::BadCredentials)));

    identity.remove_second_factor("ana").await.expect("removed");
    identity.sign_in("ana", PASSWORD, PEER).await.expect("signed in");
}

#[tokio::test]
async fn codes_cannot_be_tried_without_end() {
    let (identity, _, _) = open(8).await;
    identity.create_user("ana", Role::Admin.as_str(), PASSWORD).await.expect("made");
    let secret = identity.new_second_factor();
    let shown = totp::code_now(&secret, identity.now());
    identity.set_second_factor("ana", &secret, &shown).await.expect("set");
    let mut refused = None;
    for _ in 0..20 {
        refused = identity.sign_in_with("ana", PASSWORD, Some(&shown), PEER).await.err();
    }
    assert!(matches!(refused, Some(SignInError::TooManyAttempts { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_the_catalog_holds_is_no_secret() {
    let (identity, store, _) = open(6).await;
    let made = identity.create_token(token("shipper")).await.expect("made");
    identity.create_user("ana", Role::Admin.as_str(), PASSWORD).await.expect("made");
    let session = identity.sign_in("ana", PASSWORD, PEER).await.expect("signed in");
    let everything = store
        .catalog
        .query(vec![users::select(), tokens::select(), sessions::select()])
        .await
        .expect("read");
    let text = format!("{everything:?}");
    for secret in [made.as_str(), PASSWORD, session.expose().as_str()] {
        assert!(!text.contains(secret));
    }
}

#[tokio::test]
async fn an_answer_of_unknown_changes_nothing_twice() {
    for seed in 0..20 {
        let (identity, _, simulation) = open(seed).await;
        simulation.set_faults(crate::simulation::Faults {
            catalog_unknown_per_mille: 300,
            ..Default::default()
        });
        if let Ok(made) = identity.create_token(token("shipper")).await {
            assert!(identity.authenticate_token(&made).is_some(), "seed {seed}");
        }
        assert!(identity.list_tokens().len() <= 1, "seed {seed}");
    }
}

#[tokio::test]
async fn a_configured_role_binds_users_and_tokens_until_it_is_gone() {
    let (identity, _, _) = open(12).await;
    let config = RoleConfig {
        name: "shop".to_owned(),
        base: "reader".to_owned(),
        filter: Some("lw.source:shop".to_owned()),
        mask: vec!["card".to_owned()],
    };
    let missing = identity.create_user("ana", "shop", PASSWORD).await;
    assert!(matches!(missing, Err(IdentityError::NoRole(_))));
    identity.set_roles(Roles::new(std::slice::from_ref(&config)).expect("roles"));
    identity.create_user("ana", "shop", PASSWORD).await.expect("made");
    let session = identity.sign_in("ana", PASSWORD, PEER).await.expect("signed in");
    let new = NewToken {
        role: "shop".to_owned(),
        filter: Some("zone:eu".to_owned()),
        ..token("reporter")
    };
    let made = identity.create_token(new).await.expect("made");

    let user = identity.authenticate_session(session.expose()).expect("known");
    assert_eq!((user.role, user.role_name.as_str()), (Role::Reader, "shop"));
    assert_eq!((user.filters, user.mask), (vec!["lw.source:shop".to_owned()], config.mask.clone()));
    let reporter = identity.authenticate_token(&made).expect("known");
    assert_eq!(reporter.filters, ["lw.source:shop", "zone:eu"]);

    identity.set_roles(Roles::default());
    assert_eq!(identity.authenticate_session(session.expose()), None);
    assert_eq!(identity.authenticate_token(&made), None);
    identity.set_roles(Roles::new(&[config]).expect("roles"));
    assert!(identity.authenticate_session(session.expose()).is_some());
}

#[tokio::test]
async fn who_a_provider_vouches_for_gets_an_account_of_their_own() {
    let (identity, _, _) = open(13).await;
    let user = |subject: &str, role: &str| ExternalUser {
        provider: "corp".to_owned(),
        subject: subject.to_owned(),
        name: "ana".to_owned(),
        role: role.to_owned(),
    };
    let session = identity.sign_in_external(&user("1", "reader")).await.expect("signed in");
    let role = |token: &SessionToken| {
        identity.authenticate_session(token.expose()).map(|principal| principal.role)
    };
    assert_eq!(role(&session), Some(Role::Reader));
    let again = identity.sign_in_external(&user("1", "analyst")).await.expect("signed in");
    assert_eq!((role(&session), role(&again)), (None, Some(Role::Analyst)), "the old one ends");
    let third = identity.sign_in_external(&user("1", "analyst")).await.expect("signed in");
    assert_eq!((role(&again), role(&third)), (Some(Role::Analyst), Some(Role::Analyst)));
    identity.end_external_sessions("corp", "2").await.expect("done");
    assert_eq!(role(&third), Some(Role::Analyst), "another person's");
    identity.end_external_sessions("corp", "1").await.expect("done");
    assert_eq!((role(&again), role(&third)), (None, None));

    let other = identity.sign_in_external(&user("2", "admin")).await;
    assert!(matches!(other, Err(IdentityError::Taken(_))), "another person of that name");
    let unknown = identity.sign_in_external(&user("1", "nobody")).await;
    assert!(matches!(unknown, Err(IdentityError::NoRole(_))));
    let given = identity.set_password("ana", PASSWORD).await;
    assert!(matches!(given, Err(IdentityError::External(_))));
    for password in ["", PASSWORD] {
        let local = identity.sign_in("ana", password, PEER).await;
        assert!(matches!(local, Err(SignInError::BadCredentials)), "{password}");
    }
    identity.create_user("ben", "reader", PASSWORD).await.expect("made");
    let ben = ExternalUser { name: "ben".to_owned(), ..user("3", "admin") };
    let taken = identity.sign_in_external(&ben).await;
    assert!(matches!(taken, Err(IdentityError::Taken(_))), "a local account stays its owner's");
    let alike = ExternalUser { name: "BEN".to_owned(), ..user("3", "admin") };
    let taken = identity.sign_in_external(&alike).await;
    assert!(matches!(taken, Err(IdentityError::Taken(_))), "names that look alike");
    let alike = identity.create_user("Ben", "reader", PASSWORD).await;
    assert!(matches!(alike, Err(IdentityError::Taken(_))), "names that look alike");
}

#[tokio::test]
async fn a_second_factor_is_kept_sealed_and_opens_with_its_key_only() {
    let (identity, store, simulation) = open(14).await;
    identity.create_user("ana", "reader", PASSWORD).await.expect("made");
    let secret = identity.new_second_factor();
    let code = totp::code_now(&secret, store.clock.now());
    identity.set_second_factor("ana", &secret, &code).await.expect("set");
    let kept = async || {
        let sql = "SELECT totp_secret FROM users WHERE name = 'ana'";
        let rows = store.catalog.query(vec![Statement { sql, values: Vec::new() }]).await;
        match &rows.expect("read")[0][0].0[0] {
            crate::catalog::SqlValue::Blob(bytes) => bytes.clone(),
            other => panic!("{other:?}"),
        }
    };
    let plain = totp::decode(&secret).expect("a secret");
    assert!(!kept().await.windows(plain.len()).any(|part| part == plain));

    let (catalog, clock) = (store.catalog.clone(), store.clock.clone());
    let other = Identity::open(catalog.clone(), clock.clone(), Seal::ephemeral()).await;
    assert!(matches!(other.err(), Some(IdentityError::WrongKey(name)) if name == "ana"));

    // Another master key: what the one before has sealed is sealed anew, while people sign in.
    let (old, new) = ("07".repeat(32), "08".repeat(32));
    let dir = tempfile::tempdir().expect("a directory");
    let key = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("written");
        crate::SecretRef::File(file)
    };
    let (old, new) = (key("old", &old), key("new", &new));
    let master =
        |before: &[crate::SecretRef]| Seal::master(dir.path(), Some(&new), before).expect("keys");
    let refused = identity.set_seal(master(&[])).await;
    assert!(matches!(refused, Err(IdentityError::WrongKey(name)) if name == "ana"));
    identity.set_seal(master(std::slice::from_ref(&old))).await.expect("sealed anew");
    assert!(master(&[]).is_current(&kept().await));
    identity.set_seal(master(&[])).await.expect("the one before can go");
    assert!(Identity::open(catalog.clone(), clock.clone(), seal()).await.is_err());

    // An earlier release kept it as it was.
    let statement = Statement {
        sql: "UPDATE users SET totp_secret = ?1",
        values: vec![crate::catalog::SqlValue::Blob(plain.clone())],
    };
    identity.change_and_reload(vec![statement]).await.expect("written");
    let again = Identity::open(catalog, clock, seal()).await.expect("opened");
    assert_ne!(kept().await, plain);
    simulation.advance(Duration::from_secs(60));
    let code = totp::code_now(&secret, store.clock.now());
    let signed_in = again.sign_in_with("ana", PASSWORD, Some(&code), PEER).await;
    assert!(signed_in.is_ok());
}

#[tokio::test]
async fn a_command_leaves_a_line_with_each_change_and_none_without() {
    let (identity, store, _) = open(14).await;
    identity.create_token(token("by-the-server")).await.expect("made");
    assert_eq!(identity.told().await.expect("read"), Vec::new());

    let command =
        Identity::open(store.catalog.clone(), store.clock.clone(), seal()).await.expect("opened");
    command.leave_lines();
    command.create_token(token("shipper")).await.expect("made");
    command.create_user("ana", Role::Reader.as_str(), PASSWORD).await.expect("made");
    command.revoke_token("shipper").await.expect("revoked");
    // What is not done is not told.
    command.create_token(token("shipper")).await.expect_err("taken");
    command.create_user("ana", Role::Admin.as_str(), "another long password").await.expect_err("");
    command.revoke_token("nobody").await.expect_err("there is none");

    let mut told = Vec::new();
    for line in identity.told().await.expect("read") {
        identity.forget(&line).await.expect("forgotten");
        told.push(line.message);
    }
    told.sort();
    let lines = [
        "made token shipper with role ingest",
        "made user ana with role reader",
        "revoked token shipper",
    ];
    assert_eq!(told, lines);
    assert_eq!(identity.told().await.expect("read"), Vec::new());
}

#[tokio::test]
async fn a_command_that_dies_has_changed_and_told_or_neither() {
    for seed in 0..40 {
        let (identity, _, simulation) = open(seed).await;
        identity.leave_lines();
        simulation.set_faults(crate::simulation::Faults {
            catalog_unknown_per_mille: 700,
            ..Default::default()
        });
        // It ends where the catalog does not answer: whatever it would have done next is not done.
        let _ = identity.create_token(token("shipper")).await;
        simulation.set_faults(crate::simulation::Faults::default());
        identity.refresh().await.expect("read");
        let told = identity.told().await.expect("read");
        assert_eq!(told.len(), identity.list_tokens().len(), "seed {seed}");
    }
}
