//! Mails that other services submit.

use quartet_kernel::{Email, Rule, Violations, id, text};
use quartet_proto::auth::v1::{MailPurpose, MailRequest};
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;

/// Length of names that mails greet by, and of titles that they quote, at the most.
const MAX_NAME: usize = 100;
/// Length of links at the most.
const MAX_LINK: usize = 2_048;
/// Length of tokens at the most.
const MAX_TOKEN: usize = 512;
/// Length of a tag of a language at the most (BCP 47 recommends room for 35).
const MAX_LANGUAGE: usize = 35;

/// Notes what is wrong with the mail of a request's field `send_email`.
pub(super) fn check(mail: &pb::SendEmail, violations: &mut Violations) {
    violations.check("send_email.to", Email::parse(&mail.to));
    let mut check = |field: &str, text: &str, least, most| {
        violations.check(format!("send_email.{field}"), text::line(text, least, most));
    };
    check("language", &mail.language, 0, MAX_LANGUAGE);
    match &mail.template {
        Some(Template::Welcome(template)) => check("welcome.name", &template.name, 0, MAX_NAME),
        Some(Template::Verify(template)) => {
            check("verify.name", &template.name, 0, MAX_NAME);
            check("verify.link", &template.link, 1, MAX_LINK);
            check("verify.token", &template.token, 0, MAX_TOKEN);
        }
        Some(Template::Reset(template)) => {
            check("reset.name", &template.name, 0, MAX_NAME);
            check("reset.link", &template.link, 1, MAX_LINK);
            check("reset.token", &template.token, 0, MAX_TOKEN);
        }
        Some(Template::AddressChange(template)) => {
            check("address_change.name", &template.name, 0, MAX_NAME);
            check("address_change.link", &template.link, 1, MAX_LINK);
            check("address_change.token", &template.token, 0, MAX_TOKEN);
        }
        Some(Template::AddressChangeNotice(template)) => {
            check("address_change_notice.name", &template.name, 0, MAX_NAME);
        }
        Some(Template::WebhooksPaused(template)) => check("webhooks_paused.name", &template.name, 0, MAX_NAME),
        Some(Template::Reminder(template)) => {
            check("reminder.name", &template.name, 0, MAX_NAME);
            check("reminder.title", &template.title, 0, MAX_NAME);
        }
        Some(Template::Requested(template)) => match &template.request {
            Some(request) => check_request(request, violations),
            None => violations.add("send_email.requested.request", Rule::required()),
        },
        None => violations.add("send_email.template", Rule::required()),
    }
}

/// Records what is wrong with the request that a mail answers.
fn check_request(request: &MailRequest, violations: &mut Violations) {
    let field = |name: &str| format!("send_email.requested.request.{name}");
    violations.check(field("id"), id::parse(&request.id));
    let purpose = match MailPurpose::try_from(request.purpose) {
        Ok(MailPurpose::Unspecified) => Err(Rule::required()),
        Ok(_) => Ok(()),
        Err(_) => Err(Rule::new("ENUM_DEFINED_ONLY", "must be one of the defined values")),
    };
    violations.check(field("purpose"), purpose);
    violations.check(field("email"), Email::parse(&request.email));
    if let Some(account_id) = &request.account_id {
        violations.check(field("account_id"), id::parse(account_id));
    }
    if let Some(requested_by) = &request.requested_by {
        violations.check(field("requested_by"), id::parse(requested_by));
    }
}

/// A link that lets its reader in is the reader's alone: nobody is shown it, and it is not kept
/// once the mail is out.
pub(super) fn without_secrets(mut mail: pb::SendEmail) -> pb::SendEmail {
    match &mut mail.template {
        Some(Template::Verify(template)) => {
            template.link.clear();
            template.token.clear();
        }
        Some(Template::Reset(template)) => {
            template.link.clear();
            template.token.clear();
        }
        Some(Template::AddressChange(template)) => {
            template.link.clear();
            template.token.clear();
        }
        Some(
            Template::Welcome(_)
            | Template::AddressChangeNotice(_)
            | Template::WebhooksPaused(_)
            | Template::Reminder(_)
            | Template::Requested(_),
        )
        | None => {}
    }
    mail
}
