//! WatchTodos.

use std::pin::Pin;

use futures::StreamExt;
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use tonic::{Request, Response, Status};

use super::{Rpc, convert};
use crate::Error;

pub(crate) type Stream = Pin<Box<dyn futures::Stream<Item = Result<pb::TodoChange, Status>> + Send>>;

pub(super) async fn handle(rpc: &Rpc, request: Request<pb::WatchTodosRequest>) -> Result<Response<Stream>, Error> {
    let call = Call::of(&request)?;
    let owner = call.user()?.id;
    let start = convert::start(owner, &request.get_ref().resume_token)?;
    let told = rpc.feed.tell(owner, start, call.deadline).await?;
    let changes = told.map(move |told| told.map(|told| convert::change(owner, told)));
    Ok(Response::new(Box::pin(changes)))
}
