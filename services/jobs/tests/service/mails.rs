use std::time::Duration;

use quartet_jobs::domain::Status;
use quartet_messaging::{Broker, Message};
use quartet_proto::auth::v1 as auth;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;
use quartet_proto::jobs::v1::send_email::Template;
use quartet_proto::todos::v1::DueTodo;
use quartet_rpc::timestamp;
use quartet_testkit::identity::service_request;

use crate::harness::{Harness, Process, Setting, eventually};

/// What was sent, with soft line breaks and the escapes of links taken out.
fn sent(harness: &Harness) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(harness.folder.path().join("mail")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mails = paths.filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
    mails
        .map(|path| {
            std::fs::read_to_string(path)
                .unwrap()
                .replace("=\r\n", "")
                .replace("=3D", "=")
        })
        .collect()
}

async fn remind(process: &mut Process, harness: &Harness) -> i32 {
    let request = pb::CreateTaskRequest {
        payload: Some(pb::create_task_request::Payload::RemindDue(pb::RemindDue::default())),
        ..Default::default()
    };
    let task = process
        .tasks
        .create_task(harness.superuser.request(request))
        .await
        .unwrap()
        .into_inner();
    eventually("the reminders are made", async || {
        let task = process.get(&harness.superuser, &task.id).await.unwrap();
        match task.result {
            Some(pb::task::Result::Reminded(result)) if task.status == i32::from(TaskStatus::Succeeded) => {
                Some(result.mails)
            }
            _ => None,
        }
    })
    .await
}

#[tokio::test]
async fn a_todo_is_reminded_of_once_per_due_date() {
    let harness = Harness::new(Setting::default()).await;
    let due_at = harness.clock.now() + Duration::from_secs(3_600);
    let todo = |number: u8, user: &str, due_at| DueTodo {
        todo_id: format!("todo-{number}"),
        user_id: user.into(),
        title: format!("thing {number}"),
        due_at: Some(timestamp::to_proto(due_at)),
    };
    let contact = |user: &str, email_verified, active| auth::Contact {
        account_id: user.into(),
        name: user.into(),
        email: format!("{user}@example.com"),
        email_verified,
        active,
    };
    harness.neighbours.with(|state| {
        state.due = vec![
            todo(1, "ann", due_at),
            todo(2, "ann", due_at),
            todo(3, "unproven", due_at),
            todo(4, "closed", due_at),
            todo(5, "gone", due_at),
        ];
        state.contacts = vec![
            contact("ann", true, true),
            contact("unproven", false, true),
            contact("closed", true, false),
        ];
    });
    let mut process = harness.start().await;
    assert_eq!(remind(&mut process, &harness).await, 2);
    assert_eq!(remind(&mut process, &harness).await, 0);
    // Put off: a new date, a new reminder.
    harness
        .neighbours
        .with(|state| state.due[0] = todo(1, "ann", due_at + Duration::from_secs(60)));
    assert_eq!(remind(&mut process, &harness).await, 1);
    let mails = eventually("the mails are sent", async || {
        Some(sent(&harness)).filter(|mails| mails.len() == 3)
    })
    .await;
    assert!(
        mails
            .iter()
            .all(|mail| mail.contains("ann@example.com") && mail.contains("Subject: Due soon: thing")),
        "{mails:?}"
    );
    process.stop().await;
}

#[tokio::test]
async fn whoever_registers_is_welcomed_once_though_the_event_comes_twice() {
    let harness = Harness::new(Setting::default()).await;
    let process = harness.start().await;
    let account = auth::AccountRegistered {
        account_id: harness.user.id.to_string(),
        name: "Ann".into(),
        username: "ann".into(),
        email: "ann@example.com".into(),
        role: "user".into(),
        language: "ru".into(),
        email_claimed: false,
    };
    // The owner of an address that another account claims has been welcomed before.
    let claim = auth::AccountRegistered {
        account_id: harness.clock.new_id().to_string(),
        email: "bob@example.com".into(),
        email_claimed: true,
        ..account.clone()
    };
    let claim = Message::of(&harness.clock, &claim.account_id, &claim);
    let message = Message::of(&harness.clock, harness.user.id, &account);
    let queues = quartet_messaging::Queue::of_every_service();
    harness.broker.declare(&queues).await.unwrap();
    harness.broker.publish(std::slice::from_ref(&claim)).await;
    for _ in 0..2 {
        harness.broker.publish(std::slice::from_ref(&message)).await;
    }
    let mail = eventually("the welcome is sent", async || sent(&harness).into_iter().next()).await;
    assert!(mail.contains("Subject: =?utf-8?"), "it is written in Russian: {mail}");
    assert!(
        mail.contains("\nTo: ann@example.com"),
        "nobody has proven the address: {mail}"
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sent(&harness).len(), 1);
    process.stop().await;
}

fn requested(harness: &Harness, purpose: auth::MailPurpose) -> (auth::MailRequest, Message) {
    let request = auth::MailRequest {
        id: harness.clock.new_id().to_string(),
        purpose: purpose.into(),
        email: "ann@example.com".into(),
        account_id: None,
        requested_by: None,
    };
    let event = auth::MailRequested {
        request: Some(request.clone()),
        language: "ru".into(),
    };
    let message = Message::of(&harness.clock, &request.id, &event);
    (request, message)
}

/// What the stores of this service have of its jobs: payload, and result once they have ended.
async fn stored(harness: &Harness) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let quartet_store::Database::Sqlite(database) = &harness.database else {
        panic!("the database is SQLite");
    };
    sqlx::query_as("select payload, result from jobs")
        .fetch_all(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_requested_mail_is_sent_once_with_what_auth_issues_and_its_link_is_in_no_store() {
    let harness = Harness::new(Setting::default()).await;
    harness.neighbours.with(|state| {
        state.mail = Some(auth::IssuedMail {
            to: "Ann@example.com".into(),
            name: "Ann".into(),
            link: "https://example.com/verify-email?token=s3cret".into(),
            token: "s3cret".into(),
            expires_at: Some(timestamp::to_proto(harness.clock.now())),
        });
    });
    let process = harness.start().await;
    let (request, message) = requested(&harness, auth::MailPurpose::EmailVerification);
    let queues = quartet_messaging::Queue::of_every_service();
    harness.broker.declare(&queues).await.unwrap();
    for _ in 0..2 {
        harness.broker.publish(std::slice::from_ref(&message)).await;
    }
    let mail = eventually("the mail is sent", async || sent(&harness).into_iter().next()).await;
    assert!(
        mail.contains("<Ann@example.com>") && mail.contains("token=s3cret"),
        "{mail}"
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sent(&harness).len(), 1);
    assert_eq!(harness.neighbours.with(|state| state.issued.clone()), [request]);
    let stored = stored(&harness).await;
    assert_eq!(stored.len(), 1);
    let (payload, result) = &stored[0];
    for bytes in [payload, result.as_ref().unwrap()] {
        assert!(!String::from_utf8_lossy(bytes).contains("s3cret"), "{bytes:?}");
    }
    process.stop().await;
}

#[tokio::test]
async fn an_address_receives_so_many_mails_an_hour_whoever_requests_them() {
    let harness = Harness::new(Setting {
        settings: vec![("MAILS_PER_ADDRESS_PER_HOUR", "3".into())],
        ..Setting::default()
    })
    .await;
    harness.neighbours.with(|state| {
        state.mail = Some(auth::IssuedMail {
            to: "Ann@example.com".into(),
            link: "https://example.com/verify-email?token=s3cret".into(),
            ..auth::IssuedMail::default()
        });
    });
    let process = harness.start().await;
    let queues = quartet_messaging::Queue::of_every_service();
    harness.broker.declare(&queues).await.unwrap();
    for _ in 0..8 {
        let (_, message) = requested(&harness, auth::MailPurpose::EmailChange);
        harness.broker.publish(std::slice::from_ref(&message)).await;
    }
    // The others end as those that nobody needs any more do.
    eventually("all have ended", async || {
        let ended = stored(&harness)
            .await
            .iter()
            .filter(|(_, result)| result.is_some())
            .count();
        (ended == 8).then_some(())
    })
    .await;
    assert_eq!(sent(&harness).len(), 3);
    process.stop().await;
}

#[tokio::test]
async fn a_mail_that_is_not_sent_counts_for_the_account_that_requested_it() {
    let harness = Harness::new(Setting {
        settings: vec![("MAILS_PER_ACCOUNT_PER_HOUR", "3".into())],
        ..Setting::default()
    })
    .await;
    let process = harness.start().await;
    let queues = quartet_messaging::Queue::of_every_service();
    harness.broker.declare(&queues).await.unwrap();
    let account_id = harness.user.id.to_string();
    let request = async |purpose: auth::MailPurpose, ended: usize| {
        let (mut request, _) = requested(&harness, purpose);
        // The warning goes to the owner of an address that the account has requested.
        match purpose {
            auth::MailPurpose::AddressTaken => request.requested_by = Some(account_id.clone()),
            _ => request.account_id = Some(account_id.clone()),
        }
        let event = auth::MailRequested {
            request: Some(request.clone()),
            language: "en".into(),
        };
        let message = Message::of(&harness.clock, &request.id, &event);
        harness.broker.publish(std::slice::from_ref(&message)).await;
        eventually("it has ended", async || {
            let stored = stored(&harness).await;
            (stored.iter().filter(|(_, result)| result.is_some()).count() == ended).then_some(())
        })
        .await;
    };
    for n in 1..=3 {
        request(auth::MailPurpose::AddressTaken, n).await;
    }
    harness.neighbours.with(|state| {
        state.mail = Some(auth::IssuedMail {
            to: "ann@example.com".into(),
            link: "https://example.com/undo-email-change?token=s3cret".into(),
            ..auth::IssuedMail::default()
        });
    });
    request(auth::MailPurpose::EmailChange, 4).await;
    assert_eq!(sent(&harness).len(), 0, "the account has had three");
    request(auth::MailPurpose::EmailChangeUndo, 5).await;
    assert_eq!(sent(&harness).len(), 1, "its owner is warned all the same");
    process.stop().await;
}

#[tokio::test]
async fn a_requested_mail_that_nobody_needs_any_more_ends_unsent() {
    let harness = Harness::new(Setting::default()).await;
    let process = harness.start().await;
    let (_, message) = requested(&harness, auth::MailPurpose::PasswordReset);
    let queues = quartet_messaging::Queue::of_every_service();
    harness.broker.declare(&queues).await.unwrap();
    harness.broker.publish(std::slice::from_ref(&message)).await;
    let result = eventually("the job ends", async || {
        stored(&harness).await.pop().and_then(|(_, result)| result)
    })
    .await;
    assert!(result.is_empty(), "it has no Message-ID");
    assert!(sent(&harness).is_empty());
    process.stop().await;
}

#[tokio::test]
async fn everything_that_was_deleted_long_ago_is_purged() {
    let harness = Harness::new(Setting::default()).await;
    harness.neighbours.with(|state| {
        state.deleted = 1_201;
        state.gone = 45;
    });
    let mut process = harness.start().await;
    let request = pb::CreateTaskRequest {
        payload: Some(pb::create_task_request::Payload::PurgeDeleted(
            pb::PurgeDeleted::default(),
        )),
        ..Default::default()
    };
    let task = process
        .tasks
        .create_task(harness.superuser.request(request))
        .await
        .unwrap()
        .into_inner();
    let result = eventually("it is purged", async || {
        process.get(&harness.superuser, &task.id).await.unwrap().result
    })
    .await;
    assert_eq!(
        result,
        pb::task::Result::Purged(pb::PurgeDeletedResult {
            todos: 1_201,
            users: 45
        })
    );
    process.stop().await;
}

fn submit(to: &str, template: Template) -> pb::SubmitTaskRequest {
    pb::SubmitTaskRequest {
        payload: Some(pb::submit_task_request::Payload::SendEmail(pb::SendEmail {
            to: to.into(),
            language: "en".into(),
            template: Some(template),
        })),
        unique_key: to.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_link_is_in_the_mail_and_nowhere_else_once_it_is_sent() {
    let harness = Harness::new(Setting::default()).await;
    let mut process = harness.start().await;
    let (link, token) = ("https://example.com/page?token=s3cret", "s3cret");
    let (name, expires_at) = (String::from("Ann"), Some(timestamp::to_proto(harness.clock.now())));
    let (link, token) = (link.to_owned(), token.to_owned());
    let templates = [
        Template::Verify(pb::VerifyMail {
            name: name.clone(),
            link: link.clone(),
            token: token.clone(),
            expires_at,
        }),
        Template::Reset(pb::ResetMail {
            name: name.clone(),
            link: link.clone(),
            token: token.clone(),
            expires_at,
        }),
        Template::AddressChange(pb::AddressChangeMail {
            name: name.clone(),
            link,
            token,
            expires_at,
        }),
        Template::AddressChangeNotice(pb::AddressChangeNoticeMail { name }),
    ];
    for (number, template) in templates.into_iter().enumerate() {
        let has_link = !matches!(template, Template::AddressChangeNotice(_));
        let request = submit(&format!("ann{number}@example.com"), template);
        let mut ids = Vec::new();
        for round in 0..2 {
            let request = service_request("auth", &harness.clock, request.clone());
            let id = process.tasks.submit_task(request).await.unwrap().into_inner().task_id;
            let id = id.parse().unwrap();
            let job = eventually("the mail is sent", async || {
                let job = harness.store().find_any_job(id, &harness.cx()).await.unwrap();
                job.filter(|job| job.status == Status::Succeeded)
            })
            .await;
            let stored = String::from_utf8_lossy(&job.payload).into_owned();
            assert!(
                stored.contains("Ann") && !stored.contains("s3cret"),
                "round {round}: {stored:?}"
            );
            assert!(!String::from_utf8_lossy(&job.result.unwrap()).contains("s3cret"));
            ids.push(id);
        }
        assert_eq!(ids[0], ids[1], "the answer was lost, and the mail is requested again");
        let mails = sent(&harness);
        assert_eq!(mails.len(), number + 1);
        let to = format!("<ann{number}@example.com>");
        let mail = mails.iter().find(|mail| mail.contains(&to)).unwrap();
        assert_eq!(mail.contains("page?token=s3cret"), has_link, "{mail}");
    }
    process.stop().await;
}
