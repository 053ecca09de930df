//! The table of contents of a service: which RPCs it has, one line each.

use tonic::{Request, Status};

use crate::{Call, Failure};

/// Implements a generated service trait by one function per RPC.
///
/// ```ignore
/// quartet_rpc::methods! {
///     impl TodoService for Rpc {
///         get_todo(pb::GetTodoRequest) -> pb::Todo;
///         watch_todos(pb::WatchTodosRequest) -> stream WatchTodosStream;
///     }
/// }
/// ```
///
/// Each RPC is a module of its name with `handle(rpc: &Rpc, call: &Call, request) -> Result<Reply,
/// Error>`, where the error converts into a `tonic::Status`. For an RPC with a stream of replies,
/// the module has a type `Stream` as well, and the line gives the name that the generated trait has
/// for it. A stream of requests is written `stream pb::Message`; its handler returns an
/// [`idempotency::Reply`](crate::idempotency::Reply), since only it can compare two requests.
///
/// A request with an idempotency key is answered once: the type has a field `replies`, an
/// `Arc<dyn KeptReplies>`, and is `Clone`.
#[macro_export]
macro_rules! methods {
    (impl $service:ident for $rpc:ty { $($methods:tt)* }) => {
        $crate::methods!(@implement $service, $rpc, {} $($methods)*);
    };
    // The attribute has to see the functions, so that they are gathered before it stands over them.
    (@implement $service:ident, $rpc:ty, { $($done:tt)* }) => {
        #[::tonic::async_trait]
        impl $service for $rpc {
            $($done)*
        }
    };
    (@implement $service:ident, $rpc:ty, { $($done:tt)* }
        $name:ident($request:ty) -> stream $stream:ident; $($rest:tt)*) => {
        $crate::methods!(@implement $service, $rpc, {
            $($done)*

            type $stream = $name::Stream;

            async fn $name(
                &self,
                request: ::tonic::Request<$request>,
            ) -> Result<::tonic::Response<$name::Stream>, ::tonic::Status> {
                let (call, request) = $crate::methods::split(request)?;
                Ok(::tonic::Response::new($name::handle(self, &call, request).await?))
            }
        } $($rest)*);
    };
    (@implement $service:ident, $rpc:ty, { $($done:tt)* }
        $name:ident(stream $request:ty) -> $reply:ty; $($rest:tt)*) => {
        $crate::methods!(@implement $service, $rpc, {
            $($done)*

            async fn $name(
                &self,
                request: ::tonic::Request<::tonic::Streaming<$request>>,
            ) -> Result<::tonic::Response<$reply>, ::tonic::Status> {
                let (call, request) = $crate::methods::split(request)?;
                Ok($name::handle(self, &call, request).await?.into())
            }
        } $($rest)*);
    };
    (@implement $service:ident, $rpc:ty, { $($done:tt)* } $name:ident($request:ty) -> $reply:ty; $($rest:tt)*) => {
        $crate::methods!(@implement $service, $rpc, {
            $($done)*

            async fn $name(
                &self,
                request: ::tonic::Request<$request>,
            ) -> Result<::tonic::Response<$reply>, ::tonic::Status> {
                let (call, request) = $crate::methods::split(request)?;
                let Some(keyed) = $crate::idempotency::request(&call, &request) else {
                    return Ok(::tonic::Response::new($name::handle(self, &call, request).await?));
                };
                let (rpc, replies) = (self.clone(), self.replies.clone());
                $crate::idempotency::run(replies, call, keyed, move |call| async move {
                    $name::handle(&rpc, &call, request).await
                })
                .await
            }
        } $($rest)*);
    };
}

/// The call that the access layer put into the request, and the message.
///
/// Errors: INTERNAL when the access layer is not in front of the method, which is a mistake in the
/// wiring.
pub fn split<T>(request: Request<T>) -> Result<(Call, T), Status> {
    let (_, mut extensions, message) = request.into_parts();
    match extensions.remove::<Call>() {
        Some(call) => Ok((call, message)),
        None => {
            tracing::error!("a method was reached without the access layer");
            Err(Failure::internal().into())
        }
    }
}
