use std::time::Duration;

use quartet_messaging::{Broker, Message};
use quartet_proto::auth::v1 as auth;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;
use quartet_proto::todos::v1::DueTodo;
use quartet_rpc::moment;

use crate::stage::{Process, Setting, Stage, eventually};

/// What was sent, with soft line breaks taken out.
fn sent(stage: &Stage) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(stage.folder.path().join("mail")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mails = paths.filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
    mails
        .map(|path| std::fs::read_to_string(path).unwrap().replace("=\r\n", ""))
        .collect()
}

async fn remind(process: &mut Process, stage: &Stage) -> i32 {
    let request = pb::CreateTaskRequest {
        payload: Some(pb::create_task_request::Payload::RemindDue(pb::RemindDue::default())),
        ..Default::default()
    };
    let task = process
        .tasks
        .create_task(stage.superuser.request(request))
        .await
        .unwrap()
        .into_inner();
    eventually("the reminders are made", async || {
        let task = process.get(&stage.superuser, &task.id).await.unwrap();
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
    let stage = Stage::new(Setting::default()).await;
    let due_at = stage.clock.now() + Duration::from_secs(3_600);
    let todo = |number: u8, user: &str, due_at| DueTodo {
        todo_id: format!("todo-{number}"),
        user_id: user.into(),
        title: format!("thing {number}"),
        due_at: Some(moment::to_proto(due_at)),
    };
    let contact = |user: &str, email_verified, active| auth::Contact {
        account_id: user.into(),
        name: user.into(),
        email: format!("{user}@example.com"),
        email_verified,
        active,
    };
    stage.neighbours.with(|state| {
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
    let mut process = stage.start().await;
    assert_eq!(remind(&mut process, &stage).await, 2);
    assert_eq!(remind(&mut process, &stage).await, 0);
    // Put off: a new date, a new reminder.
    stage
        .neighbours
        .with(|state| state.due[0] = todo(1, "ann", due_at + Duration::from_secs(60)));
    assert_eq!(remind(&mut process, &stage).await, 1);
    let mails = eventually("the mails are sent", async || {
        Some(sent(&stage)).filter(|mails| mails.len() == 3)
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
async fn whoever_registers_is_welcomed_once_though_the_news_comes_twice() {
    let stage = Stage::new(Setting::default()).await;
    let process = stage.start().await;
    let account = auth::AccountRegistered {
        account_id: stage.user.id.to_string(),
        name: "Ann".into(),
        username: "ann".into(),
        email: "ann@example.com".into(),
        role: "user".into(),
    };
    let message = Message::news(&stage.clock, stage.user.id, &account);
    let queues = quartet_messaging::Queue::of_every_service();
    stage.broker.declare(&queues).await.unwrap();
    for _ in 0..2 {
        stage.broker.publish(std::slice::from_ref(&message)).await;
    }
    eventually("the welcome is sent", async || sent(&stage).into_iter().next()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sent(&stage).len(), 1);
    process.stop().await;
}

#[tokio::test]
async fn everything_that_was_deleted_long_ago_is_purged() {
    let stage = Stage::new(Setting::default()).await;
    stage.neighbours.with(|state| {
        state.deleted = 1_201;
        state.gone = 45;
    });
    let mut process = stage.start().await;
    let request = pb::CreateTaskRequest {
        payload: Some(pb::create_task_request::Payload::PurgeDeleted(
            pb::PurgeDeleted::default(),
        )),
        ..Default::default()
    };
    let task = process
        .tasks
        .create_task(stage.superuser.request(request))
        .await
        .unwrap()
        .into_inner();
    let result = eventually("it is purged", async || {
        process.get(&stage.superuser, &task.id).await.unwrap().result
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
