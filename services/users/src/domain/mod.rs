//! Types and rules of users, profiles, tiers and rate limits; nothing here knows of protos or SQL.

mod account;
mod address;
mod image_url;
mod name;
mod profile;
mod rate_limit;
mod tier;
mod user;
mod username;

pub use account::Account;
pub use address::Address;
pub use image_url::ImageUrl;
pub use name::Name;
pub use profile::{AvatarUrl, Bio, Profile, ProfileEdit};
pub use quartet_rpc::Role;
pub use rate_limit::{Amount, LimitName, LimitPath, NewRateLimit, Period, RateLimit, RateLimitEdit};
pub use tier::{Tier, TierName};
pub use user::{Key, User, UserEdit};
pub use username::Username;
