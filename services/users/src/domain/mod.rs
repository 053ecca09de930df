//! Types and rules of users, profiles, tiers and rate limits, without protos or SQL. User name,
//! address and display name are types of the kernel, which the auth service shares.

mod account;
mod image_url;
mod profile;
mod rate_limit;
mod tier;
mod user;

pub use account::{Account, AccountEvent};
pub use image_url::ImageUrl;
pub use profile::{AvatarUrl, Bio, Profile, ProfileEdit};
pub use rate_limit::{Amount, LimitName, LimitPath, NewRateLimit, Period, RateLimit, RateLimitEdit};
pub use tier::{Tier, TierName};
pub use user::{Key, User, UserEdit, UserFilter};
