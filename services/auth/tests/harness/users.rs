//! A users service that remembers what it was asked, and can be slow or away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use prost::Message;
use quartet_proto::users::v1 as pb;
use quartet_rpc::host::Host;
use quartet_rpc::upstream::LocalService;
use tonic::body::Body;
