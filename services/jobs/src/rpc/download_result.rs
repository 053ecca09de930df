//! DownloadResult. Public, so that the link alone is enough; whoever is signed in reads their own
//! without one.

use futures::StreamExt;
use futures::stream::BoxStream;
use quartet_proto::google::api::HttpBody;
use quartet_proto::jobs::v1 as pb;
use quartet_rpc::{Call, Caller};
use tokio::fs::File;
use tonic::Status;

use super::{Rpc, convert};
use crate::Error;
use crate::files;

/// The pieces of the file.
pub(super) type Stream = BoxStream<'static, Result<HttpBody, Status>>;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::DownloadResultRequest) -> Result<Stream, Error> {
    let id = convert::download(&request)?;
    let session = rpc.links.session(id, &request.token, rpc.clock.now());
    // A link ends with the session that it was shown to, such as when its reader signs out everywhere.
    let linked = session.is_some_and(|session| !rpc.revocations.has_ended(session));
    let job = match &call.caller {
        _ if linked => rpc.store.find_any_job(id, &rpc.cx(call)).await?,
        Caller::User(user) if request.token.is_empty() => rpc.store.find_job(user.id, id, &rpc.cx(call)).await?,
        Caller::User(_) | Caller::Anonymous | Caller::Service(_) => return Err(Error::DownloadLinkInvalid),
    };
    let job = job.filter(Rpc::has_file).ok_or(Error::ResultNotFound { id })?;
    let (file, _) = rpc.files.open(id).await?.ok_or(Error::ResultNotFound { id })?;
    let content_type = match convert::export_format(&job) {
        pb::FileFormat::Json => "application/json",
        pb::FileFormat::Csv | pb::FileFormat::Unspecified => "text/csv; charset=utf-8",
    };
    Ok(pieces(file, content_type))
}

/// The pieces of a file; the first one has the content type. An empty file is one empty piece.
fn pieces(file: File, content_type: &'static str) -> Stream {
    futures::stream::unfold(Some((file, true)), move |state| async move {
        let (mut file, first) = state?;
        match files::piece(&mut file).await {
            Ok(None) if !first => None,
            Ok(piece) => {
                let body = HttpBody {
                    content_type: if first { content_type.to_owned() } else { String::new() },
                    data: piece.unwrap_or_default(),
                    extensions: Vec::new(),
                };
                Some((Ok(body), Some((file, false))))
            }
            Err(error) => Some((Err(Error::File(error).into()), None)),
        }
    })
    .boxed()
}
