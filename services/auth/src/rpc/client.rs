//! How OAuth 2.0 clients prove who they are (RFC 6749 §2.3).

use std::time::Duration;

use quartet_kernel::{Rule, violations};
use quartet_rpc::Call;

use super::{Rpc, login};
use crate::Error;
use crate::domain::throttle::{Attempt, Mark, Subject, origin};
use crate::domain::{Clients, EventKind, of_basic};
use crate::store::{Guess, Name};

/// How often an attempt is counted anew where others are counted at the same time. Each round, one of them
/// is, and after a few they are delayed.
const ROUNDS: u32 = 16;
/// How long to wait after that.
const CROWDED: Duration = Duration::from_secs(1);

/// The client of a call, which proves who it is by HTTP Basic or by what it sends beside; `None` where no
/// client is configured, and then nothing is read. Wrong secrets slow further wrong ones down, per client and
/// address. A right one passes all the same: secrets are too long to be guessed, and whoever sends wrong
/// ones from the client's address must not keep it out.
///
/// Errors: [`Error::InvalidClient`], [`Error::TooManyAttempts`]; two ways at once.
pub(super) async fn authenticate(rpc: &Rpc, call: &Call, id: &str, secret: &str) -> Result<Option<String>, Error> {
    if rpc.clients.is_empty() {
        return Ok(None);
    }
    let (id, secret) = match &call.basic {
        None => (id.to_owned(), secret.to_owned()),
        Some(_) if !secret.is_empty() => {
            let rule = Rule::new("ONE_OF", "cannot be given together with the header `Authorization`");
            return Err(violations::one("client_secret", rule).into());
        }
        Some(basic) => {
            let (of_header, secret) = of_basic(basic.expose()).ok_or(Error::InvalidClient)?;
            if !id.is_empty() && id != of_header {
                return Err(Error::InvalidClient);
            }
            (of_header, secret)
        }
    };
    if id.is_empty() {
        return Err(Error::InvalidClient);
    }
    if rpc.clients.accept(&id, &secret) {
        return Ok(Some(id));
    }
    let name = counted_as(&rpc.clients, &id);
    let subject = Subject::of(&name);
    let guess = Guess {
        name: Name::Username(name.clone()),
        nobody: subject,
        origin: origin(call.client_address),
        address: None,
        caller: None,
        device: None,
    };
    for _ in 0..ROUNDS {
        let cx = rpc.cx(call);
        let known = rpc.store.find_sign_in(&guess, &cx).await?;
        let pair = Mark::new(subject, &guess.origin, rpc.config.pair_policy(), known.pair, cx.now)
            .map_err(|retry_after| Error::TooManyAttempts { retry_after })?;
        let attempt = Attempt {
            pair,
            name: None,
            origin: None,
        };
        if rpc.store.count_attempt(&attempt, &cx).await? {
            login::record_failure(rpc, call, None, &attempt, EventKind::LoginFail, &name).await;
            return Err(Error::InvalidClient);
        }
    }
    Err(Error::TooManyAttempts { retry_after: CROWDED })
}

/// What wrong secrets of a client are counted for. No account has such a name, since user names have no
/// blank: the count would be that of the account. Clients that are not there count as one.
fn counted_as(clients: &Clients, id: &str) -> String {
    match clients.has(id) {
        true => format!("client {id}"),
        false => "no client".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use quartet_kernel::Username;

    use super::*;

    #[test]
    fn no_account_has_the_name_that_a_client_counts_as() {
        let clients = Clients::read(&["web=public".parse().unwrap()]).unwrap();
        for id in ["web", "other", "client", "no client", ""] {
            let name = counted_as(&clients, id);
            assert!(Username::parse(&name).is_err(), "{name}");
            assert!(!name.contains('@'), "{name}");
        }
    }
}
