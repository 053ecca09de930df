//! What auth deals in, and the rules of it; neither gRPC nor SQL.
//!
//! An account's user name, address and display name are types of the kernel, which the users
//! service shares. In reading order: the [`Password`] and the [`PasswordHash`] that is kept; the
//! [`Account`] itself; its [`Session`]s and their [`RefreshToken`]s; the [`throttle`] on guessing,
//! and the [`Device`]s that do not feel it; the [`SigningKey`]s of access tokens; and the single-use tokens that
//! mails carry, in the [`Language`] of their reader.

mod account;
mod client;
mod device_token;
mod mail_token;
mod password;
mod password_hash;
mod refresh_token;
mod second_factor;
mod security_event;
mod session;
mod signing_key;
pub mod throttle;
mod totp;
mod user_event;

pub use account::{Account, NewAccount, Status};
pub use client::{ClientSetting, Clients, OWN_CLIENT, of_basic};
pub use device_token::{Device, DeviceKey, DeviceToken};
pub use mail_token::{MailKey, MailRequest, MailToken, Purpose, UNDO};
pub use password::{Owner, Password};
pub use password_hash::{Hardness, HashMemory, PasswordHash};
pub use refresh_token::{RefreshToken, TokenHash};
pub use second_factor::{CHALLENGE_TTL, Challenge, FactorKey, RECOVERY_CODES, RecoveryCode, SecondFactor};
pub use security_event::{EventKind, SecurityEvent};
pub use session::{Assurance, EndReason, EndedSession, Session};
pub use signing_key::{Algorithm, KeyError, KeyState, SigningKey};
pub use totp::{TotpSecret, qr_svg};
pub use user_event::UserEvent;
