//! A load balancer in front of the gateways, as nginx or a Service of Kubernetes is one: it sends
//! connections to gateways that are ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use quartet_tests::Rest;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How often each gateway is probed.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// A load balancer. It stops when dropped.
pub struct Balancer {
    /// Where it listens.
    pub address: String,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// Starts one in front of `gateways`.
    pub async fn start(gateways: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let ready = Arc::new(Mutex::new(gateways.to_vec()));
        let mut tasks = JoinSet::new();
        tasks.spawn(probe(gateways.to_vec(), ready.clone()));
        tasks.spawn(accept(listener, ready));
        Self { address, _tasks: tasks }
    }
}

async fn probe(gateways: Vec<String>, ready: Arc<Mutex<Vec<String>>>) {
    loop {
        let mut found = Vec::new();
        for gateway in &gateways {
            let probe = Rest::new(gateway).call(Method::GET, "/readyz").try_send();
            if matches!(tokio::time::timeout(PROBE_INTERVAL * 5, probe).await, Ok(Ok(reply)) if reply.status == 200) {
                found.push(gateway.clone());
            }
        }
        *ready.lock() = found;
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

async fn accept(listener: TcpListener, ready: Arc<Mutex<Vec<String>>>) {
    let turn = AtomicUsize::new(0);
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let ready = ready.lock().clone();
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        connections.spawn(async move {
            for offset in 0..ready.len() {
                if let Ok(mut gateway) = TcpStream::connect(&ready[(turn + offset) % ready.len()]).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut gateway).await;
                    return;
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
