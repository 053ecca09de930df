//! UploadImport.

use quartet_kernel::{Rule, violations};
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::idempotency::{self, Reply};
use quartet_rpc::{Call, Failure};
use sha2::{Digest, Sha256};
use tonic::Streaming;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    mut messages: Streaming<pb::UploadImportRequest>,
) -> Result<Reply<pb::Task>, Error> {
    let user = call.user()?;
    let owner = user.id;
    let lane = rpc.quotas.lanes(user).of_owner(owner);
    let first = messages.message().await.map_err(broken_off)?;
    let first = first.ok_or_else(|| violations::one("file", Rule::required()))?;
    let (format, unique_key) = convert::upload(&first)?;
    let id = rpc.clock.new_id();

    let mut file = rpc.files.create(id, 0).await?;
    let mut digest = Sha256::new();
    let mut next = Some(first);
    while let Some(message) = next {
        let data = message.file.unwrap_or_default().data;
        if file.written() + data.len() as u64 > rpc.upload_limit as u64 {
            return Err(Error::UploadTooLarge {
                limit: rpc.upload_limit,
            });
        }
        digest.update(&data);
        file.write(&data).await?;
        next = messages.message().await.map_err(broken_off)?;
    }
    if file.written() == 0 {
        return Err(violations::one("file", Rule::required()).into());
    }
    let digest = digest.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = unique_key.as_ref().map_or("", |key| key.as_str()).to_owned();
    let parts = [&digest[..], &(format as i32).to_be_bytes(), key.as_bytes()];
    let keyed = idempotency::request_of(call, &parts);
    // The file is safe before the job that reads it can begin. One whose job is not made after all
    // is removed, here or as a stray.
    file.finish().await?;
    let inserted = idempotency::once(&*rpc.replies, call, keyed, |call| async move {
        let cx = rpc.cx(&call);
        let job = convert::import(user, id, hex, format, unique_key, cx.now);
        let (job, _) = rpc.store.insert_job(&job.in_lane(lane), &cx).await?;
        Ok(rpc.task(job, call.user()?))
    })
    .await;
    let is_unused = match &inserted {
        // It is the task of an earlier request, by its unique key or its idempotency key.
        Ok(reply) => reply.message.id != id.to_string(),
        Err(Error::TaskKeyReused { .. } | Error::QuotaExceeded { .. }) => true,
        // The row may have been committed all the same, so the file stays until it is known to be a
        // stray.
        Err(_) => false,
    };
    if is_unused {
        rpc.files.remove(id).await?;
    }
    inserted
}

/// A piece was no message that may be, or the client went away in the middle and nobody receives
/// the answer.
fn broken_off(status: tonic::Status) -> Error {
    if let Some(failure) = Failure::of_message(&status) {
        return failure.into();
    }
    tracing::debug!(%status, "an upload broke off");
    Failure::new(
        tonic::Code::Cancelled,
        quartet_proto::options::Reason::Cancelled,
        "the upload broke off",
    )
    .into()
}
