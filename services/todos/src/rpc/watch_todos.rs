//! WatchTodos.

use std::pin::Pin;

use futures::StreamExt;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::Status;

use super::{Rpc, convert};
use crate::Error;

pub(crate) type Stream = Pin<Box<dyn futures::Stream<Item = Result<pb::TodoChange, Status>> + Send>>;

pub(super) async fn handle(rpc: &Rpc, call: &Call, request: pb::WatchTodosRequest) -> Result<Stream, Error> {
    let owner = call.user()?.id;
    let start = convert::start(owner, &request.resume_token)?;
    let events = rpc.feed.subscribe(owner, start, &rpc.cx(call)).await?;
    let changes = events.map(move |event| event.map(|event| convert::change(owner, event)));
    Ok(Box::pin(changes))
}
