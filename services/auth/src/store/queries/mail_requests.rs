//! Requests for mails, as other writes make and void them.

use quartet_kernel::Language;
use quartet_store::Timestamp;
use uuid::Uuid;

use super::unit::Unit;
use super::{Connection, statements};
use crate::domain::{EndedSession, MailRequest, Purpose};
use crate::store::sessions::Ending;
use crate::{Error, events};

/// Collects the request for a mail to an account.
pub(super) fn request(
    unit: &mut Unit,
    purpose: Purpose,
    email_key: String,
    account_id: Uuid,
    language: Language,
) -> Uuid {
    let request = MailRequest::to_account(unit.clock().new_id(), purpose, email_key, account_id);
    unit.publish(request.id, &events::mail_requested(&request, language));
    request.id
}

/// Collects the request for a mail that warns whoever has an address.
pub(super) fn warn(unit: &mut Unit, email_key: String, requested_by: Uuid, language: Language) {
    let request = MailRequest::of_taken(unit.clock().new_id(), email_key, Some(requested_by));
    unit.publish(request.id, &events::mail_requested(&request, language));
}

/// Voids every token of an account that is for this purpose, and ends every session but `keep`.
pub(super) async fn void_and_end(
    connection: &mut Connection,
    account_id: Uuid,
    purpose: Purpose,
    keep: Option<Uuid>,
    ending: Ending,
) -> Result<Vec<EndedSession>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(statements::VOID_AND_END)
        .bind(account_id)
        .bind(Timestamp(ending.now))
        .bind(ending.reason.name())
        .bind(None::<Timestamp>)
        .bind(keep)
        .bind(Timestamp(ending.forget_at))
        .bind(purpose.name())
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(|id| ending.of(id)).collect())
}
