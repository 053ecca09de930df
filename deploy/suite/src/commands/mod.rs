//! Administrative commands, one file each. They work on the stores, whether the suite is running or
//! not, and are idempotent.

pub(crate) mod backup;
pub(crate) mod config;
pub(crate) mod create_superuser;
pub(crate) mod create_tier;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod messages;
pub(crate) mod migrate;
pub(crate) mod restore;
pub(crate) mod seed;
pub(crate) mod status;
