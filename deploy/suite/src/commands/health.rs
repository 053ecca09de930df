//! `quartet health`.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use quartet_rpc::upstream::Upstreams;
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::settings::Settings;

/// Time within which a process answers.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What is checked.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A gateway, `http://host:port`, or a service, `grpc://host:port`, over TLS `grpcs://host:port`; by
    /// default HEALTH_ADDRESS.
    address: Option<String>,
}

pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let address = args.address.as_ref().unwrap_or(&settings.own.health_address);
    let checked = tokio::time::timeout(TIMEOUT, check(settings, address)).await;
    checked.map_err(|_| anyhow!("{address} does not answer within {} s", TIMEOUT.as_secs()))??;
    println!("{address} is ready");
    Ok(())
}

async fn check(settings: &Settings, address: &str) -> anyhow::Result<()> {
    match address.split_once("://") {
        Some(("http", _)) => {
            let (status, _) = get(address, "/readyz").await?;
            ensure!(status.is_success(), "{address} is not ready: /readyz answers {status}");
            Ok(())
        }
        Some(("grpc", host)) => {
            let channel = Endpoint::from_shared(format!("http://{host}"))?
                .connect()
                .await
                .with_context(|| format!("connecting to {address}"))?;
            let reply = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
            serves(address, reply.into_inner().status())
        }
        Some(("grpcs", host)) => {
            let upstreams = Upstreams::read(&settings.source)?;
            let upstream = upstreams.remote("health", &format!("https://{host}"))?;
            let reply = HealthClient::new(upstream).check(HealthCheckRequest::default()).await?;
            serves(address, reply.into_inner().status())
        }
        _ => bail!("expected `http://host:port`, `grpc://host:port` or `grpcs://host:port`, not `{address}`"),
    }
}

fn serves(address: &str, status: ServingStatus) -> anyhow::Result<()> {
    ensure!(
        status == ServingStatus::Serving,
        "{address} is not ready: it is {}",
        status.as_str_name()
    );
    Ok(())
}

/// What a gateway answers to a GET.
pub(super) async fn get(address: &str, path: &str) -> anyhow::Result<(http::StatusCode, Bytes)> {
    let uri: Uri = address.parse().with_context(|| format!("`{address}` is no address"))?;
    let host = uri.authority().ok_or_else(|| anyhow!("`{address}` has no host"))?;
    let port = host.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((host.host().trim_matches(['[', ']']), port))
        .await
        .with_context(|| format!("connecting to {address}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender.
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(header::HOST, host.as_str())
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
