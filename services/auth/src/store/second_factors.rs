//! Second factors of accounts.

use async_trait::async_trait;
use quartet_store::Context;
use uuid::Uuid;

use crate::Error;
use crate::domain::{SecondFactor, Session, TokenHash};

/// Second factors of accounts.
#[async_trait]
pub trait SecondFactors: Send + Sync {
    /// The second factor of an account, confirmed or not.
    async fn find_second_factor(&self, account_id: Uuid, cx: &Context) -> Result<Option<SecondFactor>, Error>;

    /// Keeps the encrypted secret of a second factor that is yet to be confirmed, in the place of an
    /// earlier one. No when the account has a confirmed one.
    async fn enrol_second_factor(&self, account_id: Uuid, sealed: &[u8], cx: &Context) -> Result<bool, Error>;

    /// Confirms a second factor with a code of the time step `step`; the owner of the live session
    /// `session_id` has thus proven who they are by two factors. Returns that session after it; `None`
    /// when the second factor is not as it was read, or the session has ended.
    async fn confirm_second_factor(
        &self,
        factor: &SecondFactor,
        session_id: Uuid,
        step: i64,
        recovery_codes: &[TokenHash],
        cx: &Context,
    ) -> Result<Option<Session>, Error>;

    /// Uses the code of a time step. No when it, or a later one, was used.
    async fn use_code(&self, account_id: Uuid, step: i64, cx: &Context) -> Result<bool, Error>;

    /// Uses a recovery code. No when it is none of those that are left.
    async fn use_recovery_code(&self, factor: &SecondFactor, code: TokenHash, cx: &Context) -> Result<bool, Error>;

    /// Puts recovery codes in the place of those that are left. No when the account has no confirmed
    /// second factor.
    async fn renew_recovery_codes(&self, account_id: Uuid, codes: &[TokenHash], cx: &Context) -> Result<bool, Error>;

    /// Removes the second factor of an account: its owner does. No when there is none.
    async fn remove_second_factor(&self, account_id: Uuid, cx: &Context) -> Result<bool, Error>;

    /// Removes the second factor of an account and ends its sessions: a superuser does. No when there is
    /// none.
    async fn reset_second_factor(&self, account_id: Uuid, cx: &Context) -> Result<bool, Error>;
}
