//! Fields that browsers carry as cookies (`quartet.options.v1.cookie`, RFC 6265).
//!
//! [`fields`] finds them in a binding before any request; an [`exchange`] is the cookies of one
//! request and its reply: checked on the way in, and set or deleted on the way out.

mod exchange;
mod fields;

pub(super) use exchange::Exchange;
pub(super) use fields::Cookies;
