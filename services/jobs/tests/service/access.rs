use quartet_proto::jobs::v1 as pb;
use quartet_rpc::failure::reason_of;
use quartet_testkit::identity::{Identity, service_request};
use tonic::Code;

use crate::harness::{Harness, Scripted, Setting, export};
use quartet_jobs::workers::Done;

#[tokio::test]
async fn another_users_task_is_not_found() {
    let harness = Harness::scripted(Scripted::new(|_| async { Ok(Done(vec![])) })).await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    let stranger = Identity::user(&harness.clock);
    let id = || task.id.clone();
    let refused = [
        process.get(&stranger, &task.id).await.unwrap_err(),
        process
            .tasks
            .cancel_task(stranger.request(pb::CancelTaskRequest { task_id: id() }))
            .await
            .unwrap_err(),
        process
            .tasks
            .retry_task(stranger.request(pb::RetryTaskRequest { task_id: id() }))
            .await
            .unwrap_err(),
        process
            .tasks
            .watch_task(stranger.request(pb::WatchTaskRequest { task_id: id() }))
            .await
            .map(|_| ())
            .unwrap_err(),
    ];
    for status in refused {
        assert_eq!(
            (status.code(), reason_of(&status).as_deref()),
            (Code::NotFound, Some("TASK_NOT_FOUND"))
        );
    }
    let list = process
        .tasks
        .list_tasks(stranger.request(pb::ListTasksRequest::default()))
        .await
        .unwrap();
    assert_eq!(list.into_inner().total_count, 0);
    process.stop().await;
}

#[tokio::test]
async fn queues_and_dead_letters_are_for_superusers() {
    let harness = Harness::new(Setting::default()).await;
    let mut process = harness.start().await;
    let user = &harness.user;
    let refused = [
        process
            .queues
            .queue_stats(user.request(pb::QueueStatsRequest {}))
            .await
            .map(|_| ())
            .unwrap_err(),
        process
            .queues
            .list_dead_letters(user.request(pb::ListDeadLettersRequest::default()))
            .await
            .map(|_| ())
            .unwrap_err(),
        process
            .queues
            .pause_queue(user.request(pb::PauseQueueRequest { queue: "low".into() }))
            .await
            .map(|_| ())
            .unwrap_err(),
    ];
    assert!(refused.iter().all(|status| status.code() == Code::PermissionDenied));
    process.stop().await;
}

#[tokio::test]
async fn users_start_exports_and_superusers_what_concerns_everybody() {
    let harness = Harness::new(Setting::default()).await;
    let mut process = harness.start().await;
    let purge = || pb::CreateTaskRequest {
        payload: Some(pb::create_task_request::Payload::PurgeDeleted(
            pb::PurgeDeleted::default(),
        )),
        ..Default::default()
    };
    let status = process.try_create(&harness, purge()).await.unwrap_err();
    assert_eq!(
        (status.code(), reason_of(&status).as_deref()),
        (Code::PermissionDenied, Some("TASK_KIND_NOT_ALLOWED"))
    );
    process
        .tasks
        .create_task(harness.superuser.request(purge()))
        .await
        .unwrap();
    process.stop().await;
}

#[tokio::test]
async fn mails_are_sent_for_services_alone_and_once_per_key() {
    let harness = Harness::new(Setting::default()).await;
    let mut process = harness.start().await;
    let mail = |link: &str| pb::SubmitTaskRequest {
        payload: Some(pb::submit_task_request::Payload::SendEmail(pb::SendEmail {
            to: "ann@example.com".into(),
            language: "en".into(),
            template: Some(pb::send_email::Template::Reset(pb::ResetMail {
                name: "Ann".into(),
                link: link.into(),
                ..Default::default()
            })),
        })),
        unique_key: "reset:1".into(),
        ..Default::default()
    };
    let status = process
        .tasks
        .submit_task(harness.superuser.request(mail("https://x")))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = service_request("auth", &harness.clock, mail("https://x/?token=secret"));
        ids.push(process.tasks.submit_task(request).await.unwrap().into_inner().task_id);
    }
    assert_eq!(ids[0], ids[1]);
    let status = process
        .tasks
        .submit_task(service_request("auth", &harness.clock, mail("https://y")))
        .await
        .unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("TASK_KEY_REUSED"));
    let status = process
        .tasks
        .submit_task(service_request("auth", &harness.clock, mail("")))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    process.stop().await;
}
