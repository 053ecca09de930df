//! Proto ↔ domain: the one place where the two meet. Past it, nobody checks a field again.

use prost_types::Timestamp;
use quartet_kernel::{DisplayName, Email, InvalidFields, Role, Rule, Username, Violations, id, text, violations};
use quartet_limits::pattern::Pattern;
use quartet_proto::users::v1 as pb;
use quartet_rpc::{Failure, User as Caller, mask, timestamp};
use quartet_store::page::{MAX_SIZE, Page, PageRequest};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{
    Account, Amount, AvatarUrl, Bio, ImageUrl, Key, LimitName, LimitPath, NewRateLimit, Period, Profile, ProfileEdit,
    RateLimit, RateLimitEdit, Tier, TierName, User, UserEdit, UserFilter,
};

pub(super) fn id(field: &str, text: &str) -> Result<Uuid, InvalidFields> {
    id::parse(text).map_err(|rule| violations::one(field, rule))
}

/// The value of a field that has passed its check; its absence would be a mistake in this file.
pub(super) fn checked<T>(value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(Failure::internal)
}

/// A page of limits. These lists once had no pages: whoever names no size gets as many as a page
/// may have.
pub(super) fn limits_page(request: PageRequest<'_>, list: &str) -> Result<Page<String>, Error> {
    let request = PageRequest {
        items_per_page: request.items_per_page.or(Some(MAX_SIZE)),
        ..request
    };
    let mut violations = Violations::new();
    let page = Page::parse(request, list, &mut violations);
    violations.finish()?;
    Ok(checked(page)?)
}

/// The user name to look up. One that breaks the rules of user names is nobody's.
pub(super) fn requested_username(raw: &str) -> Result<Username, Error> {
    text::length(raw, 1, 20).map_err(|rule| violations::one("username", rule))?;
    Username::parse(raw).map_err(|_| Error::UsernameNotFound {
        username: raw.to_owned(),
    })
}

/// The tier to look up. A name that breaks the rules of tier names is no tier's.
pub(super) fn requested_tier(field: &str, raw: &str) -> Result<TierName, Error> {
    text::length(raw, 1, TierName::MAX).map_err(|rule| violations::one(field, rule))?;
    TierName::parse(raw).map_err(|_| Error::TierNotFound { name: raw.to_owned() })
}

pub(super) fn account(request: &pb::EnsureUserRequest) -> Result<Account, Failure> {
    let mut violations = Violations::new();
    let id = violations.check("account_id", id::parse(&request.account_id));
    let name = violations.check("name", DisplayName::optional(&request.name));
    let username = violations.check("username", Username::parse(&request.username));
    let email = violations.check("email", Email::parse(&request.email));
    let role = violations.check("role", role(request.role));
    let updated_at = timestamp::parse(request.account_updated_at.as_ref());
    let updated_at = violations.check("account_updated_at", updated_at);
    violations.finish()?;
    Ok(Account {
        id: checked(id)?,
        name: checked(name)?,
        username: checked(username)?,
        email: checked(email)?,
        role: checked(role)?,
        updated_at: checked(updated_at)?,
    })
}

pub(super) fn user_edit(request: &pb::UpdateUserRequest) -> Result<(Uuid, UserEdit), Failure> {
    const FIELDS: &[&str] = &["name", "username", "email", "profile_image_url"];
    let mut violations = Violations::new();
    let id = violations.check("user_id", id::parse(&request.user_id));
    let user = request.user.clone().unwrap_or_default();
    let mask = mask::parse(request.update_mask.as_ref(), FIELDS, &mut violations);
    let has = |name: &str| mask.contains(&name);
    let edit = UserEdit {
        name: has("name")
            .then(|| violations.check("user.name", DisplayName::parse(&user.name)))
            .flatten(),
        username: has("username")
            .then(|| violations.check("user.username", Username::parse(&user.username)))
            .flatten(),
        email: has("email")
            .then(|| violations.check("user.email", Email::parse(&user.email)))
            .flatten(),
        profile_image_url: has("profile_image_url")
            .then(|| {
                let url = unless_empty(Some(&user.profile_image_url), ImageUrl::parse);
                violations.check("user.profile_image_url", url)
            })
            .flatten(),
        pending_email: None,
        account_at: None,
    };
    violations.finish()?;
    Ok((checked(id)?, edit))
}

/// The list of these users for page tokens, which users it has, and the requested page of it.
pub(super) fn user_list(request: &pb::ListUsersRequest) -> Result<(String, UserFilter, Page<Key>), Failure> {
    let mut violations = Violations::new();
    let part = |field: &str, text: &str, longest, violations: &mut Violations| {
        let text = violations.check(field, text::line(text, 0, longest));
        text.filter(|text| !text.is_empty())
    };
    let filter = UserFilter {
        deleted: request.deleted,
        name: part("name", &request.name, 30, &mut violations),
        email: part("email", &request.email, 254, &mut violations),
    };
    let mut list = if request.deleted { "deleted users" } else { "users" }.to_owned();
    if filter.name.is_some() || filter.email.is_some() {
        list.push_str(&format!(" of {:?} and {:?}", filter.name, filter.email));
    }
    let request = PageRequest {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = Page::parse(request, &list, &mut violations);
    violations.finish()?;
    Ok((list, filter, checked(page)?))
}

pub(super) fn profile_edit(request: &pb::UpdateProfileRequest) -> Result<(Uuid, ProfileEdit), Failure> {
    let mut violations = Violations::new();
    let id = violations.check("user_id", id::parse(&request.user_id));
    let profile = request.profile.clone().unwrap_or_default();
    let mask = mask::parse(request.update_mask.as_ref(), &["bio", "avatar_url"], &mut violations);
    let has = |name: &str| mask.contains(&name);
    let edit = ProfileEdit {
        bio: has("bio")
            .then(|| violations.check("profile.bio", unless_empty(profile.bio.as_deref(), Bio::parse)))
            .flatten(),
        avatar_url: has("avatar_url")
            .then(|| {
                let url = unless_empty(profile.avatar_url.as_deref(), AvatarUrl::parse);
                violations.check("profile.avatar_url", url)
            })
            .flatten(),
    };
    violations.finish()?;
    Ok((checked(id)?, edit))
}

pub(super) fn tier_rename(request: &pb::UpdateTierRequest) -> Result<(TierName, TierName), Error> {
    let mut violations = Violations::new();
    mask::parse(request.update_mask.as_ref(), &["name"], &mut violations);
    let new_name = request.tier.as_ref().map_or("", |tier| &tier.name);
    let new_name = violations.check("tier.name", TierName::parse(new_name));
    violations.finish()?;
    Ok((requested_tier("name", &request.name)?, checked(new_name)?))
}

pub(super) fn new_rate_limit(request: &pb::CreateRateLimitRequest, id: Uuid) -> Result<NewRateLimit, Failure> {
    let mut violations = Violations::new();
    let name = violations.check("name", LimitName::parse(&request.name));
    let path = violations.check("path", limit_path(&request.path));
    let amount = violations.check("limit", Amount::parse(request.limit));
    let period = violations.check("period", Period::parse(request.period));
    violations.finish()?;
    Ok(NewRateLimit {
        id,
        name: checked(name)?,
        path: checked(path)?,
        amount: checked(amount)?,
        period: checked(period)?,
    })
}

/// A path that some method has; a limit on any other would limit nothing.
fn limit_path(raw: &str) -> Result<LimitPath, Rule> {
    let path = LimitPath::parse(raw)?;
    match Pattern::parse(path.as_str()).is_some_and(|pattern| pattern.matches_any()) {
        true => Ok(path),
        false => Err(Rule::new(
            "UNKNOWN_PATH",
            "must be the path of a method, such as `/api/v1/todos/{todo_id}`",
        )),
    }
}

pub(super) fn rate_limit_edit(request: &pb::UpdateRateLimitRequest) -> Result<(Uuid, RateLimitEdit), Failure> {
    const FIELDS: &[&str] = &["name", "path", "limit", "period"];
    let mut violations = Violations::new();
    let id = violations.check("rate_limit_id", id::parse(&request.rate_limit_id));
    let limit = request.rate_limit.clone().unwrap_or_default();
    let mask = mask::parse(request.update_mask.as_ref(), FIELDS, &mut violations);
    let has = |name: &str| mask.contains(&name);
    let edit = RateLimitEdit {
        name: has("name")
            .then(|| violations.check("rate_limit.name", LimitName::parse(&limit.name)))
            .flatten(),
        path: has("path")
            .then(|| violations.check("rate_limit.path", limit_path(&limit.path)))
            .flatten(),
        amount: has("limit")
            .then(|| violations.check("rate_limit.limit", Amount::parse(limit.limit)))
            .flatten(),
        period: has("period")
            .then(|| violations.check("rate_limit.period", Period::parse(limit.period)))
            .flatten(),
    };
    violations.finish()?;
    Ok((checked(id)?, edit))
}

/// The user as `viewer` may see them: addresses are for their owner and superusers, deletion is for
/// superusers.
pub(super) fn user(user: User, viewer: &Caller) -> pb::User {
    let trusted = viewer.is_superuser() || viewer.id == user.id;
    pb::User {
        etag: user.etag().to_string(),
        id: user.id.to_string(),
        name: user.name,
        // What somebody signs in with, and who is worth attacking, is nobody else's concern.
        username: if trusted { user.username } else { String::new() },
        email: trusted.then_some(user.email),
        profile_image_url: user.profile_image_url.unwrap_or_default(),
        role: match user.role {
            _ if !trusted => pb::UserRole::RoleUnspecified,
            Role::User => pb::UserRole::RoleUser,
            Role::Superuser => pb::UserRole::RoleSuperuser,
        }
        .into(),
        tier: user.tier,
        created_at: timestamp(user.created_at),
        updated_at: timestamp(user.updated_at),
        pending_email: None,
        deleted_at: user
            .deleted_at
            .filter(|_| viewer.is_superuser())
            .map(timestamp::to_proto),
    }
}

pub(super) fn profile(profile: Profile) -> pb::Profile {
    pb::Profile {
        etag: profile.etag().to_string(),
        user_id: profile.user_id.to_string(),
        bio: profile.bio,
        avatar_url: profile.avatar_url,
        created_at: timestamp(profile.created_at),
        updated_at: timestamp(profile.updated_at),
    }
}

pub(super) fn tier(tier: Tier) -> pb::Tier {
    pb::Tier {
        etag: tier.etag().to_string(),
        id: tier.id.to_string(),
        name: tier.name,
        created_at: timestamp(tier.created_at),
        updated_at: timestamp(tier.updated_at),
    }
}

pub(super) fn rate_limit(limit: RateLimit) -> pb::RateLimit {
    pb::RateLimit {
        etag: limit.etag().to_string(),
        id: limit.id.to_string(),
        tier_name: limit.tier_name,
        name: limit.name,
        path: limit.path,
        limit: limit.amount,
        period: limit.period,
        created_at: timestamp(limit.created_at),
        updated_at: timestamp(limit.updated_at),
    }
}

fn timestamp(time: OffsetDateTime) -> Option<Timestamp> {
    Some(timestamp::to_proto(time))
}

/// An empty text is none.
fn unless_empty<T>(text: Option<&str>, parse: impl FnOnce(&str) -> Result<T, Rule>) -> Result<Option<T>, Rule> {
    text.filter(|text| !text.is_empty()).map(parse).transpose()
}

fn role(number: i32) -> Result<Role, Rule> {
    match pb::UserRole::try_from(number) {
        Ok(pb::UserRole::RoleUser) => Ok(Role::User),
        Ok(pb::UserRole::RoleSuperuser) => Ok(Role::Superuser),
        Ok(pb::UserRole::RoleUnspecified) => Err(Rule::required()),
        Err(_) => Err(Rule::new("ENUM_DEFINED_ONLY", "must be one of the defined values")),
    }
}
