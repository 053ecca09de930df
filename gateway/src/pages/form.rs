//! A page with a form that calls a method.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ORIGIN, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use prost_reflect::{FieldDescriptor, Kind, ReflectMessage};
use quartet_proto::options::{self, Reason};
use serde_json::Value;
use url::form_urlencoded;

use super::{PublicUrl, STYLE, respond, text};
use crate::call::{StartError, Transcoder};
use crate::edge::RouteTemplate;
use crate::l10n::Language;
use crate::problem::{Problem, render};
use crate::routes::{Binding, BodyTarget};

/// What of a request is not passed on to the call that a form makes: the page has its own type and
/// length, and whoever opens a link signs in by its token alone.
const NOT_PASSED_ON: [HeaderName; 7] = [
    ACCEPT,
    AUTHORIZATION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    ORIGIN,
    TRANSFER_ENCODING,
];

/// Every page with a form that the methods declare.
pub(crate) struct Forms(Vec<Form>);

struct Form {
    /// Such as `/reset-password`.
    path: String,
    /// The path of the REST interface that the form calls.
    target: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    /// The link fills it, and the page does not show it.
    from_link: bool,
    secret: bool,
    least: Option<u64>,
    most: Option<u64>,
}

impl Forms {
    /// The pages of these bindings.
    ///
    /// # Errors
    /// Names the method whose page cannot be served.
    pub(crate) fn of<'b>(bindings: impl Iterator<Item = &'b Binding>) -> Result<Self, StartError> {
        let declared = bindings.filter_map(|binding| Some((binding, options::edge(&binding.method).page?)));
        let forms = declared.map(|(binding, page)| {
            Form::of(binding, &page).map_err(|reason| StartError {
                method: binding.method.full_name().to_owned(),
                reason,
            })
        });
        forms.collect::<Result<_, _>>().map(Self)
    }

    /// The paths of the pages.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|form| form.path.as_str())
    }

    /// The routes of the pages. `app` is the name of the product.
    pub(crate) fn routes(self, app: &str, public_url: &PublicUrl, transcoder: &Arc<Transcoder>) -> Router {
        self.0.into_iter().fold(Router::new(), |router, form| {
            let path = form.path.clone();
            let page = Arc::new(Page {
                form,
                app: app.to_owned(),
                public_url: public_url.clone(),
                transcoder: transcoder.clone(),
            });
            let posted = page.clone();
            let show = get(async move |request: Request| page.show(&request.into_parts().0));
            router.route(
                &path,
                show.post(async move |request: Request| posted.submit(request).await),
            )
        })
    }
}

impl Form {
    fn of(binding: &Binding, page: &options::Page) -> Result<Self, String> {
        let is_plain = binding.verb == "POST" && binding.path_fields.is_empty();
        if !is_plain || !matches!(binding.body, BodyTarget::Whole) || binding.method.is_server_streaming() {
            return Err("has a page, and no POST of a whole body to a path without variables".to_owned());
        }
        let request = binding.method.input();
        if let Some(unknown) = page.query.iter().find(|name| request.get_field_by_name(name).is_none()) {
            return Err(format!(
                "the query of its page fills `{unknown}`, which the request does not have"
            ));
        }
        let field = |field: FieldDescriptor| match field.kind() {
            Kind::String if !field.is_list() => Ok(Field {
                from_link: page.query.iter().any(|name| name == field.name()),
                secret: options::secret(&field),
                least: length_rule(&field, "min_len"),
                most: length_rule(&field, "max_len"),
                name: field.name().to_owned(),
            }),
            _ => Err(format!("has a page, and `{}` is no string", field.name())),
        };
        Ok(Self {
            path: page.path.clone(),
            target: binding.template.clone(),
            fields: request.fields().map(field).collect::<Result<_, _>>()?,
        })
    }

    /// What its texts are filed under, such as `reset-password`.
    fn key(&self) -> &str {
        self.path.trim_start_matches('/')
    }
}

/// The number of a rule for the length of a field, such as `max_len`.
fn length_rule(field: &FieldDescriptor, name: &str) -> Option<u64> {
    let extension = field.parent_pool().get_extension_by_name("buf.validate.field")?;
    let options = field.options();
    let rules = options.get_extension(&extension);
    let of_strings = rules.as_message()?.get_field_by_name("string")?;
    let of_strings = of_strings.as_message()?;
    let rule = of_strings.descriptor().get_field_by_name(name)?;
    of_strings
        .has_field(&rule)
        .then(|| of_strings.get_field(&rule).as_u64())
        .flatten()
}

/// A page that is served.
struct Page {
    form: Form,
    app: String,
    public_url: PublicUrl,
    transcoder: Arc<Transcoder>,
}

/// What the fields of a form hold.
type Values = BTreeMap<String, String>;

impl Page {
    /// The form, filled by the link. Opening it makes no call: scanners of mails open every link.
    fn show(&self, parts: &Parts) -> Response {
        if !self.public_url.leads_here(&parts.headers) {
            return elsewhere();
        }
        let language = Language::preferred(&parts.headers);
        let values = values(parts.uri.query().unwrap_or_default().as_bytes());
        let is_missing = |field: &Field| field.from_link && values.get(&field.name).is_none_or(String::is_empty);
        let response = match self.form.fields.iter().any(is_missing) {
            true => self.refused(StatusCode::BAD_REQUEST, language, text(language, "incomplete-link")),
            false => self.asking(StatusCode::OK, language, &values, None),
        };
        self.at_its_route(response)
    }

    /// Makes the call of a form that was sent.
    async fn submit(&self, request: Request) -> Response {
        if !self.public_url.leads_here(request.headers()) {
            return elsewhere();
        }
        let (parts, body) = request.into_parts();
        let response = match form_body(&parts, body).await {
            Ok(values) => self.call(parts, &values).await,
            Err(problem) => problem.into_response(),
        };
        self.at_its_route(response)
    }

    async fn call(&self, parts: Parts, values: &Values) -> Response {
        let language = Language::preferred(&parts.headers);
        let fields = self.form.fields.iter();
        let body: serde_json::Map<String, Value> = fields
            .map(|field| {
                let value = values.get(&field.name).cloned().unwrap_or_default();
                (field.name.clone(), Value::String(value))
            })
            .collect();
        let Ok(uri) = self.form.target.parse() else {
            return crate::call::status::internal("the path of a page's method is no URI").into_response();
        };
        let mut parts = parts;
        parts.method = Method::POST;
        parts.uri = uri;
        for name in NOT_PASSED_ON {
            parts.headers.remove(name);
        }
        parts
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = Request::from_parts(parts, Body::from(Value::Object(body).to_string()));
        let problem = match self.transcoder.call(request).await {
            Ok(_) => {
                let done = text(language, &format!("{}.done", self.form.key()));
                return self.written(StatusCode::OK, language, Some(done), None, None);
            }
            Err(problem) => problem,
        };
        // Trying again makes sense where the reader has to correct something, or to wait.
        let again = problem.status == StatusCode::UNPROCESSABLE_ENTITY
            || problem.status == StatusCode::TOO_MANY_REQUESTS
            || problem.status.is_server_error();
        let mut response = match again {
            true => self.asking(problem.status, language, values, Some(&problem)),
            false => self.refused(problem.status, language, render::explain(&problem, language)),
        };
        if let Some(seconds) = render::retry_after(&problem) {
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }

    /// The page with its form, and with what was wrong with it before.
    fn asking(&self, status: StatusCode, language: Language, values: &Values, problem: Option<&Problem>) -> Response {
        let key = self.form.key();
        let fields = self.form.fields.iter();
        let inputs: Vec<Input> = fields
            .map(|field| Input::of(field, language, values, problem))
            .collect();
        let is_shown = inputs.iter().any(|input| input.error.is_some());
        let form = Shown {
            lead: text(language, &format!("{key}.lead")),
            action: key.to_owned(),
            submit: text(language, &format!("{key}.submit")),
            inputs,
        };
        let error = problem
            .filter(|_| !is_shown)
            .map(|problem| render::explain(problem, language));
        self.written(status, language, None, error, Some(form))
    }

    /// The page without its form: nothing can be done with this link.
    fn refused(&self, status: StatusCode, language: Language, error: String) -> Response {
        self.written(status, language, None, Some(error), None)
    }

    fn written(
        &self,
        status: StatusCode,
        language: Language,
        done: Option<String>,
        error: Option<String>,
        form: Option<Shown>,
    ) -> Response {
        let page = Html {
            language: language.tag(),
            style: STYLE,
            app: &self.app,
            title: text(language, self.form.key()),
            done,
            error,
            form,
        };
        respond(status, language, &page)
    }

    fn at_its_route(&self, mut response: Response) -> Response {
        let template = RouteTemplate(self.form.path.as_str().into());
        response.extensions_mut().insert(template);
        response
    }
}

/// The fields of a form that was sent.
async fn form_body(parts: &Parts, body: Body) -> Result<Values, Problem> {
    let media = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let mut problem = Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::UnsupportedMediaType,
            "the page takes its form",
        );
        let taken = "application/x-www-form-urlencoded".to_owned();
        problem.metadata.insert("taken".to_owned(), taken);
        return Err(problem);
    }
    let body = crate::call::read_body(body).await?;
    Ok(values(&body))
}

fn values(pairs: &[u8]) -> Values {
    form_urlencoded::parse(pairs).into_owned().collect()
}

/// The reply of a gateway whose pages are somewhere else.
fn elsewhere() -> Response {
    Problem::new(StatusCode::NOT_FOUND, Reason::RouteNotFound, "no route for the path").into_response()
}

#[derive(Template)]
#[template(path = "form.html")]
struct Html<'a> {
    language: &'static str,
    style: &'static str,
    app: &'a str,
    title: String,
    done: Option<String>,
    error: Option<String>,
    form: Option<Shown>,
}

/// A form as the page shows it.
struct Shown {
    lead: String,
    /// Relative, so that the page works behind a proxy that puts a prefix before every path.
    action: String,
    submit: String,
    inputs: Vec<Input>,
}

struct Input {
    name: String,
    /// `None` where it is hidden.
    label: Option<String>,
    kind: &'static str,
    value: String,
    least: Option<u64>,
    most: Option<u64>,
    autocomplete: &'static str,
    hint: Option<String>,
    error: Option<String>,
}

impl Input {
    fn of(field: &Field, language: Language, values: &Values, problem: Option<&Problem>) -> Self {
        let key = format!("field-{}", field.name.replace('_', "-"));
        let violations = problem.map_or(&[][..], |problem| &problem.violations);
        // What the link fills has no place of its own on the page.
        let shown = !field.from_link;
        let broken = violations
            .iter()
            .find(|violation| shown && violation.field == field.name);
        // A secret that was sent does not come back in a page.
        let value = values.get(&field.name).filter(|_| field.from_link || !field.secret);
        Self {
            label: shown.then(|| text(language, &key)),
            kind: if field.secret { "password" } else { "text" },
            value: value.cloned().unwrap_or_default(),
            least: field.least,
            most: field.most,
            autocomplete: if field.secret { "new-password" } else { "on" },
            hint: crate::l10n::page_text(language, &format!("{key}.hint")).filter(|_| shown),
            error: broken.map(|violation| render::rule_text(violation, language)),
            name: field.name.clone(),
        }
    }
}
