//! Calls of any method by its descriptor, with messages as bytes, and the details of their
//! failures.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt;

/// A codec that passes messages on as bytes.
#[derive(Clone, Copy, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Calls `method` with `message` and this token, if any. Of a stream, it returns the first message.
pub async fn call(
    channel: &Channel,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    token: Option<&str>,
) -> Result<DynamicMessage, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = path.parse().expect("a path");
    let bytes = Bytes::from(message.encode_to_vec());
    let request = match token {
        Some(token) => quartet_testkit::identity::bearer(token, bytes),
        None => Request::new(bytes),
    };
    let mut client = tonic::client::Grpc::new(channel.clone());
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let reply = if method.is_server_streaming() {
        let mut stream = client.server_streaming(request, path, RawCodec).await?.into_inner();
        // A stream that is open without a message has admitted its caller.
        match tokio::time::timeout(Duration::from_secs(2), stream.message()).await {
            Ok(first) => first?.unwrap_or_default(),
            Err(_) => Default::default(),
        }
    } else {
        client.unary(request, path, RawCodec).await?.into_inner()
    };
    DynamicMessage::decode(method.output(), reply).map_err(|error| Status::data_loss(error.to_string()))
}

/// Calls `method` with messages that are encoded already, well or not.
pub async fn send(
    channel: &Channel,
    method: &MethodDescriptor,
    messages: Vec<Bytes>,
    token: &str,
) -> Result<Bytes, Status> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = path.parse().expect("a path");
    let messages = quartet_testkit::identity::bearer(token, futures::stream::iter(messages));
    let mut client = tonic::client::Grpc::new(channel.clone());
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    // On the wire, a call of one message is a stream of one.
    if !method.is_server_streaming() {
        return Ok(client.client_streaming(messages, path, RawCodec).await?.into_inner());
    }
    let mut replies = client.streaming(messages, path, RawCodec).await?.into_inner();
    Ok(replies.message().await?.unwrap_or_default())
}

/// The reason of a failure, such as `TODO_NOT_FOUND`; empty when it has none.
pub fn reason(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// The fields in a failure's violations.
pub fn fields(status: &Status) -> Vec<String> {
    let violations = status
        .get_details_bad_request()
        .map(|details| details.field_violations)
        .unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}
