//! IssueMail.

use quartet_kernel::{Email, Rule, Violations, id, text, violations};
use quartet_proto::auth::v1 as pb;
use quartet_rpc::{Call, timestamp};

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{MailRequest, Purpose};
use crate::store::IssuedMail;

/// Characters of a name that a mail greets by, at the most.
const MAX_NAME: usize = 100;

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::IssueMailRequest,
) -> Result<pb::IssueMailResponse, Error> {
    let request = request
        .request
        .ok_or_else(|| violations::one("request", Rule::required()))?;
    let request = parse(&request)?;
    let issued = rpc.store.issue_mail(&request, &rpc.mail_key, &rpc.cx(call)).await?;
    let mail = issued.map(|mail| reply(mail, request.purpose, &rpc.public_url));
    Ok(pb::IssueMailResponse { mail })
}

fn parse(request: &pb::MailRequest) -> Result<MailRequest, Error> {
    let mut violations = Violations::new();
    let id = violations.check("request.id", id::parse(&request.id));
    let purpose = violations.check("request.purpose", purpose(request.purpose));
    let email = violations.check("request.email", Email::parse(&request.email));
    let account_id = request.account_id.as_deref().map(id::parse).transpose();
    let account_id = violations.check("request.account_id", account_id);
    let requested_by = request.requested_by.as_deref().map(id::parse).transpose();
    let requested_by = violations.check("request.requested_by", requested_by);
    violations.finish()?;
    Ok(MailRequest {
        id: convert::checked(id)?,
        purpose: convert::checked(purpose)?,
        email_key: convert::checked(email)?.key(),
        account_id: account_id.flatten(),
        requested_by: requested_by.flatten(),
    })
}

fn purpose(number: i32) -> Result<Purpose, Rule> {
    match pb::MailPurpose::try_from(number) {
        Ok(pb::MailPurpose::Unspecified) => Err(Rule::required()),
        Ok(pb::MailPurpose::PasswordReset) => Ok(Purpose::PasswordReset),
        Ok(pb::MailPurpose::EmailVerification) => Ok(Purpose::EmailVerification),
        Ok(pb::MailPurpose::EmailChange) => Ok(Purpose::EmailChange),
        Ok(pb::MailPurpose::EmailChangeNotice) => Ok(Purpose::EmailChangeNotice),
        Ok(pb::MailPurpose::EmailChangeUndo) => Ok(Purpose::EmailChangeUndo),
        Ok(pb::MailPurpose::AddressTaken) => Ok(Purpose::AddressTaken),
        Err(_) => Err(Rule::new("ENUM_DEFINED_ONLY", "must be one of the listed values")),
    }
}

/// The name that the mail greets by. It is of the account's choice, so it goes to nobody but the
/// proven owner of the address: any other mail would carry the words of a stranger.
fn greeting(mail: &IssuedMail, purpose: Purpose) -> String {
    let is_proven = match purpose {
        Purpose::PasswordReset | Purpose::EmailChangeNotice | Purpose::AddressTaken => mail.account.email_verified,
        // By then, the name may be of the choice of whoever took the account.
        Purpose::EmailVerification | Purpose::EmailChange | Purpose::EmailChangeUndo => false,
    };
    match is_proven {
        // A part of a name is better than none; imported names may be of any length.
        true => text::sanitize(mail.account.name_or_username(), MAX_NAME),
        false => String::new(),
    }
}

fn reply(mail: IssuedMail, purpose: Purpose, public_url: &str) -> pb::IssuedMail {
    let page = match purpose {
        Purpose::PasswordReset => Some("reset-password"),
        Purpose::EmailVerification | Purpose::EmailChange => Some("verify-email"),
        Purpose::EmailChangeUndo => Some("undo-email-change"),
        Purpose::EmailChangeNotice | Purpose::AddressTaken => None,
    };
    let reply = pb::IssuedMail {
        name: greeting(&mail, purpose),
        to: mail.to,
        ..pb::IssuedMail::default()
    };
    let Some(page) = page else {
        return reply;
    };
    let token = mail.token.expose();
    pb::IssuedMail {
        link: format!("{}/{page}?token={token}", public_url.trim_end_matches('/')),
        token,
        expires_at: Some(timestamp::to_proto(mail.expires_at)),
        ..reply
    }
}
