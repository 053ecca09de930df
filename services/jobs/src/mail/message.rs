//! A mail as a message (RFC 5322).

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;

use super::{Mail, SendError, texts};

/// The message and its `Message-ID`.
pub(super) fn write(mail: &Mail, from: &Mailbox) -> Result<(Message, String), SendError> {
    let never = |error: &dyn std::error::Error| SendError::Never(error.to_string());
    let address = mail
        .to
        .parse()
        .map_err(|error| never(&error as &lettre::address::AddressError))?;
    let name = Some(one_line(&mail.name)).filter(|name| !name.is_empty());
    let id = format!("<{}@{}>", mail.id, from.email.domain());
    let message = Message::builder()
        .message_id(Some(id.clone()))
        .date(mail.date.into())
        .from(from.clone())
        .to(Mailbox::new(name, address))
        .subject(one_line(&texts::subject(mail)))
        .header(ContentType::TEXT_PLAIN)
        .body(texts::body(mail))
        .map_err(|error| never(&error))?;
    Ok((message, id))
}

/// A header is one line: what would break it is a blank.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
