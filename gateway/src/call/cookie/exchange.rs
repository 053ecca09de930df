//! The cookies of one request and its reply.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use prost_reflect::FieldDescriptor;

use super::fields::{Cookies, Incoming};
use crate::call::status;
use crate::origin::OriginPolicy;
use crate::problem::Problem;
use crate::transcode::received::Received;

/// Cookies on their way in and out.
pub(in crate::call) struct Exchange<'a> {
    cookies: &'a Cookies,
    headers: &'a HeaderMap,
    origins: &'a OriginPolicy,
    /// What the request carries for its fields.
    sent: Vec<(&'a Incoming, &'a str)>,
}

impl<'a> Exchange<'a> {
    /// Reads the cookies of a request.
    ///
    /// A request that uses a cookie has to come from an allowed page. So has a request that could
    /// plant a cookie in the browser of somebody who only visits a page of another site: whoever
    /// signs a visitor in as themselves reads what the visitor writes from then on (login CSRF,
    /// RFC 6749 §10.12). A page that may read the reply is a client like any other; it is served
    /// unless the reply does hold a cookie.
    ///
    /// # Errors
    /// 403 `ORIGIN_NOT_ALLOWED`, before anything is done.
    pub(in crate::call) fn begin(
        cookies: &'a Cookies,
        headers: &'a HeaderMap,
        origins: &'a OriginPolicy,
    ) -> Result<Self, Problem> {
        let sent: Vec<_> = cookies
            .incoming
            .iter()
            .filter_map(|cookie| Some((cookie, find(headers, &cookie.name)?)))
            .collect();
        let may_plant = cookies.are_set() && !origins.may_read(headers);
        if may_plant || !sent.is_empty() {
            origins.check_cookie_use(headers)?;
        }
        Ok(Self {
            cookies,
            headers,
            origins,
            sent,
        })
    }

    /// What the cookies set in the request.
    pub(in crate::call) fn sent(&self) -> impl Iterator<Item = (&FieldDescriptor, &str)> {
        self.sent.iter().map(|(cookie, value)| (&cookie.field, *value))
    }

    /// The `Set-Cookie` headers that the fields of a reply become.
    ///
    /// # Errors
    /// 403 `ORIGIN_NOT_ALLOWED` when there is a cookie to set that the page may not have, and 500
    /// `INTERNAL` for a value that no cookie can hold.
    pub(in crate::call) fn set(self, reply: &Received) -> Result<Vec<HeaderValue>, Problem> {
        let mut headers = Vec::new();
        for cookie in &self.cookies.outgoing {
            if cookie.is_given(reply) {
                self.origins.check_cookie_use(self.headers)?;
            }
            headers.extend(cookie.header(reply).map_err(|error| status::internal(&error))?);
        }
        Ok(headers)
    }

    /// Deletes the cookies that a refused request has used: a browser would send them again and
    /// again, to no avail. A refusal of the access token is not about them, nor is any about those
    /// that are declared to stay.
    pub(in crate::call) fn refused(self, mut problem: Problem) -> Problem {
        if problem.status == StatusCode::UNAUTHORIZED && !problem.is_about_access_token() {
            let used = self.sent.into_iter();
            let deletions = used.filter_map(|(cookie, _)| cookie.deletion.clone());
            problem
                .headers
                .extend(deletions.map(|deletion| (header::SET_COOKIE, deletion)));
        }
        problem
    }
}

/// The first cookie of that name: a browser sends the one with the longest path first.
fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| {
            value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'))
                .unwrap_or(value)
        })
}
