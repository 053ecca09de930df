//! Tasks, queues and webhooks.

use quartet_jobs::domain::{Ending, Problem};
use serde_json::{Value as Json, json};
use time::OffsetDateTime;

use super::scenarios;
use crate::cluster::{Cluster, Person, text};

scenarios! {
    "TaskService/CreateTask": |cluster| (cluster.person().await.token, json!({"export_todos": {}}));
    "TaskService/CreateTask, unique key": |cluster| {
        (cluster.person().await.token, json!({"export_todos": {}, "unique_key": cluster.name()}))
    };
    "TaskService/CreateTask, known key": |cluster| {
        let person = cluster.person().await;
        let task = json!({"export_todos": {}, "unique_key": cluster.name()});
        cluster.call("TaskService/CreateTask", &person.token, task.clone()).await;
        (person.token, task)
    };
    "TaskService/UploadImport": |cluster| {
        // The data is `title` and `Bread` on two lines, in base64.
        let file = json!({"content_type": "text/csv", "data": "dGl0bGUKQnJlYWQK"});
        (cluster.person().await.token, json!({"file": file, "format": "FILE_FORMAT_CSV"}))
    };
    "TaskService/GetTask": |cluster| {
        let (person, task) = with_task(cluster).await;
        (person.token, json!({"task_id": task}))
    };
    "TaskService/ListTasks": |cluster| {
        let person = with_tasks(cluster).await;
        (person.token, json!({"page_size": 2}))
    };
    "TaskService/ListTasks, next page": |cluster| {
        let person = with_tasks(cluster).await;
        let first = cluster.call("TaskService/ListTasks", &person.token, json!({"page_size": 2})).await;
        (person.token, json!({"page_size": 2, "page_token": first["next_page_token"]}))
    };
    "TaskService/CancelTask": |cluster| {
        let (person, task) = with_task(cluster).await;
        (person.token, json!({"task_id": task}))
    };
    "TaskService/RetryTask": |cluster| {
        let (person, task) = with_task(cluster).await;
        cluster.call("TaskService/CancelTask", &person.token, json!({"task_id": task})).await;
        (person.token, json!({"task_id": task}))
    };
    "TaskService/WatchTask": |cluster| {
        let (person, task) = with_task(cluster).await;
        (person.token, json!({"task_id": task}))
    };
    "TaskService/DownloadResult": |cluster| {
        let (person, task) = with_task(cluster).await;
        cluster.run_task(&task, Ending::Succeeded(Vec::new()), b"title").await;
        (person.token, json!({"task_id": task}))
    };
    "TaskService/ListSchedules": |cluster| (cluster.superuser.clone(), json!({}));
    "TaskService/SubmitTask": |cluster| {
        let mail = json!({"to": "ada@example.org", "welcome": {"name": "Ada"}});
        (cluster.service.clone(), json!({"send_email": mail, "unique_key": cluster.name()}))
    };
    "QueueService/ListDeadLetters": |cluster| {
        dead_letter(cluster).await;
        dead_letter(cluster).await;
        (cluster.superuser.clone(), json!({"page_size": 1}))
    };
    "QueueService/ListDeadLetters, next page": |cluster| {
        dead_letter(cluster).await;
        dead_letter(cluster).await;
        let first = cluster.call("QueueService/ListDeadLetters", &cluster.superuser, json!({"page_size": 1})).await;
        (cluster.superuser.clone(), json!({"page_size": 1, "page_token": first["next_page_token"]}))
    };
    "QueueService/ReplayDeadLetter": |cluster| {
        (cluster.superuser.clone(), json!({"task_id": dead_letter(cluster).await}))
    };
    "QueueService/PauseQueue": |cluster| {
        cluster.call("QueueService/ResumeQueue", &cluster.superuser, json!({"queue": "low"})).await;
        (cluster.superuser.clone(), json!({"queue": "low"}))
    };
    "QueueService/ResumeQueue": |cluster| {
        cluster.call("QueueService/PauseQueue", &cluster.superuser, json!({"queue": "low"})).await;
        (cluster.superuser.clone(), json!({"queue": "low"}))
    };
    "QueueService/QueueStats": |cluster| (cluster.superuser.clone(), json!({}));
    "WebhookService/ListWebhooks": |cluster| {
        let person = cluster.person().await;
        for _ in 0..3 {
            webhook(cluster, &person).await;
        }
        (person.token, json!({"page_size": 2}))
    };
    "WebhookService/ListWebhooks, next page": |cluster| {
        let person = cluster.person().await;
        for _ in 0..3 {
            webhook(cluster, &person).await;
        }
        let first = cluster.call("WebhookService/ListWebhooks", &person.token, json!({"page_size": 2})).await;
        (person.token, json!({"page_size": 2, "page_token": first["next_page_token"]}))
    };
    "WebhookService/GetWebhook": |cluster| {
        let person = cluster.person().await;
        let id = webhook(cluster, &person).await;
        (person.token, json!({"webhook_id": id}))
    };
    "WebhookService/CreateWebhook": |cluster| (cluster.person().await.token, new_webhook());
    "WebhookService/UpdateWebhook": |cluster| {
        let person = cluster.person().await;
        let id = webhook(cluster, &person).await;
        let message = json!({"webhook_id": id, "webhook": {"enabled": false}, "update_mask": "enabled"});
        (person.token, message)
    };
    "WebhookService/UpdateWebhook, another target": |cluster| {
        let person = cluster.person().await;
        let id = webhook(cluster, &person).await;
        let edit = json!({"url": "https://example.org/other"});
        (person.token, json!({"webhook_id": id, "webhook": edit, "update_mask": "url"}))
    };
    "WebhookService/VerifyWebhook": |cluster| {
        let person = cluster.person().await;
        let id = webhook(cluster, &person).await;
        (person.token, json!({"webhook_id": id}))
    };
    "WebhookService/DeleteWebhook": |cluster| {
        let person = cluster.person().await;
        let id = webhook(cluster, &person).await;
        (person.token, json!({"webhook_id": id}))
    };
}

/// A new task; its id.
async fn task(cluster: &Cluster, person: &Person) -> String {
    let task = json!({"export_todos": {}, "max_attempts": 1});
    let task = cluster.call("TaskService/CreateTask", &person.token, task).await;
    text(&task["id"])
}

/// Somebody new with a task; its id.
async fn with_task(cluster: &Cluster) -> (Person, String) {
    let person = cluster.person().await;
    let task = task(cluster, &person).await;
    (person, task)
}

/// Somebody new with three tasks.
async fn with_tasks(cluster: &Cluster) -> Person {
    let person = cluster.person().await;
    for _ in 0..3 {
        task(cluster, &person).await;
    }
    person
}

/// A new task whose attempts have all failed; its id.
async fn dead_letter(cluster: &Cluster) -> String {
    let (_, task) = with_task(cluster).await;
    let problem = Problem {
        reason: "TIMED_OUT".to_owned(),
        message: "it took too long".to_owned(),
    };
    cluster
        .run_task(&task, Ending::Retry(problem, OffsetDateTime::UNIX_EPOCH), &[])
        .await;
    task
}

fn new_webhook() -> Json {
    json!({"url": "https://example.org/hook"})
}

/// A new webhook; its id.
async fn webhook(cluster: &Cluster, person: &Person) -> String {
    let webhook = cluster
        .call("WebhookService/CreateWebhook", &person.token, new_webhook())
        .await;
    text(&webhook["id"])
}
