//! UploadImport.

use quartet_kernel::{Rule, violations};
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::{Call, Failure};
use sha2::{Digest, Sha256};
use tonic::Streaming;

use super::{Rpc, convert};
use crate::Error;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    mut messages: Streaming<pb::UploadImportRequest>,
) -> Result<pb::Task, Error> {
    let owner = call.user()?.id;
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
    let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let cx = rpc.cx(call);
    let job = convert::import(owner, id, digest, format, unique_key, cx.now);
    // The file is safe before the job that reads it can begin. One whose job is not made after all
    // is removed, here or as a stray.
    file.finish().await?;
    let inserted = rpc.store.insert_job(&job, &cx).await;
    match inserted {
        Ok((job, true)) => Ok(rpc.task(job)),
        Ok((job, false)) => {
            rpc.files.remove(id).await?;
            Ok(rpc.task(job))
        }
        Err(error @ Error::TaskKeyReused { .. }) => {
            rpc.files.remove(id).await?;
            Err(error)
        }
        // The row may have been committed all the same, so the file stays until it is known to be a
        // stray.
        Err(error) => Err(error),
    }
}

/// The client went away in the middle; nobody receives the answer.
fn broken_off(status: tonic::Status) -> Error {
    tracing::debug!(%status, "an upload broke off");
    Failure::new(
        tonic::Code::Cancelled,
        quartet_proto::options::Reason::Cancelled,
        "the upload broke off",
    )
    .into()
}
