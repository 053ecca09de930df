use futures::StreamExt;
use quartet_proto::google::api::HttpBody;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::TaskStatus;
use quartet_proto::todos::v1 as todos;
use quartet_rpc::failure::reason_of;
use quartet_testkit::identity::Identity;
use tonic::{Request, Status};

use crate::harness::{Harness, Process, Setting, eventually, export};

async fn download(
    process: &mut Process,
    request: Request<pb::DownloadResultRequest>,
) -> Result<(String, Vec<u8>), Status> {
    let mut pieces = process.tasks.download_result(request).await?.into_inner();
    let (mut content_type, mut data) = (String::new(), Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if content_type.is_empty() {
            content_type = piece.content_type;
        }
        data.extend(piece.data);
    }
    Ok((content_type, data))
}

fn todo(harness: &Harness, title: &str) -> todos::Todo {
    todos::Todo {
        title: title.into(),
        user_id: harness.user.id.to_string(),
        tags: vec![todos::TagRef {
            id: String::new(),
            name: "home".into(),
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn an_export_is_downloaded_by_its_owner_and_by_whoever_has_the_link() {
    let harness = Harness::new(Setting::default()).await;
    harness.neighbours.with(|state| {
        state.todos = (0..250)
            .map(|number| todo(&harness, &format!("todo {number}")))
            .collect();
        state.todos.push(todos::Todo {
            user_id: "somebody else".into(),
            ..todo(&harness, "secret")
        });
    });
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    let done = process.until(&harness, &task.id, TaskStatus::Succeeded).await;
    let Some(pb::task::Result::Export(result)) = done.result else {
        panic!("{done:?}")
    };
    assert_eq!(result.todos, 250);
    let (path, token) = result.download_url.split_once("?token=").unwrap();
    assert_eq!(path, format!("/api/v1/tasks/{}/result", task.id));
    let named = |token: &str| pb::DownloadResultRequest {
        task_id: task.id.clone(),
        token: token.into(),
    };

    let (content_type, data) = download(&mut process, harness.user.request(named(""))).await.unwrap();
    assert_eq!(
        (content_type.as_str(), data.len() as i64),
        ("text/csv; charset=utf-8", result.bytes)
    );
    let text = String::from_utf8(data.clone()).unwrap();
    assert_eq!(text.lines().count(), 251);
    assert!(text.contains("todo 249,") && !text.contains("secret"));
    assert_eq!(
        download(&mut process, Request::new(named(token))).await.unwrap().1,
        data
    );

    let stranger = Identity::user(&harness.clock);
    let refused = [
        (
            download(&mut process, Request::new(named(""))).await,
            "DOWNLOAD_LINK_INVALID",
        ),
        (
            download(&mut process, Request::new(named(&token[1..]))).await,
            "DOWNLOAD_LINK_INVALID",
        ),
        (
            download(&mut process, stranger.request(named(""))).await,
            "RESULT_NOT_FOUND",
        ),
    ];
    for (refused, reason) in refused {
        assert_eq!(reason_of(&refused.unwrap_err()).as_deref(), Some(reason));
    }
    process.stop().await;
}

#[tokio::test]
async fn an_expired_export_takes_its_file_along() {
    let harness = Harness::new(Setting::default()).await;
    let mut process = harness.start().await;
    let task = process.create(&harness, export()).await;
    process.until(&harness, &task.id, TaskStatus::Succeeded).await;
    let file = harness.folder.path().join("files").join(&task.id);
    assert!(file.exists());
    process.stop().await;
    // A day is a long test, so the row is made to expire.
    let sql = "update jobs set expires_at = 1";
    let url = format!("sqlite://{}", harness.database_path());
    let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url)
        .await
        .unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    let mut process = harness.start().await;
    eventually("the task is deleted", async || {
        process.get(&harness.user, &task.id).await.err()
    })
    .await;
    assert!(!file.exists());
    process.stop().await;
}

async fn upload(
    process: &mut Process,
    harness: &Harness,
    key: &str,
    content_type: &str,
    data: &str,
) -> Result<pb::Task, Status> {
    let piece = |data: &[u8]| HttpBody {
        content_type: content_type.into(),
        data: data.to_vec().into(),
        extensions: vec![],
    };
    // In pieces, as the edge sends it.
    let pieces: Vec<_> = data
        .as_bytes()
        .chunks(7)
        .map(|data| pb::UploadImportRequest {
            file: Some(piece(data)),
            format: 0,
            unique_key: key.into(),
        })
        .collect();
    let request = harness.user.request(futures::stream::iter(pieces));
    process
        .tasks
        .upload_import(request)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn an_import_names_bad_rows_by_line_and_makes_the_others_once() {
    let harness = Harness::new(Setting::default()).await;
    // The first batch takes effect, but its answer is lost.
    harness.neighbours.with(|state| state.failures = 1);
    let mut process = harness.start().await;
    let csv = "title,due_at,tags\none,,home;garden\n,,\nthree,someday,\nfour,2026-01-31T12:00:00Z,\n";
    let task = upload(&mut process, &harness, "", "text/csv; charset=utf-8", csv)
        .await
        .unwrap();
    assert_eq!(task.kind, "import_todos");
    let done = process.until(&harness, &task.id, TaskStatus::Succeeded).await;
    assert_eq!(done.attempts, 2);
    let Some(pb::task::Result::Import(result)) = done.result else {
        panic!("{done:?}")
    };
    let errors: Vec<_> = result
        .errors
        .iter()
        .map(|error| (error.line, error.field.as_str()))
        .collect();
    assert_eq!(
        (result.imported, result.rejected, errors),
        (2, 2, vec![(3, "title"), (4, "due_at")])
    );
    let rows = harness.neighbours.with(|state| state.imported.clone());
    let titles: Vec<_> = rows.iter().map(|(_, row)| (row.line, row.title.as_str())).collect();
    assert_eq!(titles, [(2, "one"), (5, "four")]);
    assert_eq!(rows[0].1.tags, ["home", "garden"]);
    process.stop().await;
}

#[tokio::test]
async fn an_upload_is_bounded_typed_and_made_once_per_key() {
    let harness = Harness::new(Setting {
        settings: vec![("JOBS_UPLOAD_LIMIT", "64".into())],
        ..Setting::default()
    })
    .await;
    let mut process = harness.start().await;
    let large = format!("title\n{}\n", "x".repeat(64));
    let status = upload(&mut process, &harness, "", "text/csv", &large)
        .await
        .unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("UPLOAD_TOO_LARGE"));
    assert_eq!(
        upload(&mut process, &harness, "", "image/png", "title\n")
            .await
            .unwrap_err()
            .code(),
        tonic::Code::InvalidArgument
    );
    assert_eq!(
        upload(&mut process, &harness, "", "text/csv", "")
            .await
            .unwrap_err()
            .code(),
        tonic::Code::InvalidArgument
    );
    let json = r#"[{"title":"one"}]"#;
    let first = upload(&mut process, &harness, "k", "application/json", json)
        .await
        .unwrap();
    let second = upload(&mut process, &harness, "k", "application/json", json)
        .await
        .unwrap();
    assert_eq!(first.id, second.id);
    let status = upload(&mut process, &harness, "k", "application/json", "[]")
        .await
        .unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("TASK_KEY_REUSED"));
    process.until(&harness, &first.id, TaskStatus::Succeeded).await;
    let files = std::fs::read_dir(harness.folder.path().join("files")).unwrap().count();
    assert_eq!(files, 1, "only the file of the one task is kept");
    process.stop().await;
}

#[tokio::test]
async fn a_file_that_is_none_of_its_format_fails_the_task() {
    let harness = Harness::new(Setting::default()).await;
    let mut process = harness.start().await;
    let task = upload(&mut process, &harness, "", "application/json", "title\none\n")
        .await
        .unwrap();
    let failed = process.until(&harness, &task.id, TaskStatus::Failed).await;
    assert_eq!((failed.attempts, failed.error.unwrap().reason.as_str()), (1, "INVALID"));
    process.stop().await;
}
