//! Settings by the names that templates of FastAPI have for them. They are not read; whoever comes from
//! there is warned, with our name.

use crate::Source;

/// Names of others, and what is read in their place.
pub const NAMES: &[(&[&str], &str)] = &[
    (
        &["SECRET_KEY", "JWT_SECRET_KEY", "JWT_SECRET"],
        "nothing: access tokens are signed with keys that the auth service makes; SERVICE_TOKEN_SECRET is for calls \
         between services, and JWT_HS256_SECRET for JWT_ALGORITHM=HS256",
    ),
    (&["ALGORITHM"], "JWT_ALGORITHM"),
    (
        &["ACCESS_TOKEN_EXPIRE_MINUTES", "JWT_ACCESS_TOKEN_EXPIRE_MINUTES"],
        "ACCESS_TOKEN_TTL, such as `15m`",
    ),
    (
        &["REFRESH_TOKEN_EXPIRE_DAYS", "JWT_REFRESH_TOKEN_EXPIRE_DAYS"],
        "REFRESH_TOKEN_TTL, such as `30d`",
    ),
    (
        &[
            "DATABASE_URL",
            "DATABASE_HOST",
            "DATABASE_PORT",
            "DATABASE_USER",
            "DATABASE_PASSWORD",
            "DATABASE_NAME",
            "DB_HOST",
            "DB_PORT",
            "DB_USER",
            "DB_PASS",
            "DB_PASSWORD",
            "DB_NAME",
            "POSTGRES_SERVER",
            "POSTGRES_HOST",
            "POSTGRES_PORT",
            "POSTGRES_USER",
            "POSTGRES_PASSWORD",
            "POSTGRES_DB",
            "POSTGRES_URI",
            "SQLALCHEMY_DATABASE_URI",
        ],
        "AUTH_DATABASE_URL, USERS_DATABASE_URL, TODOS_DATABASE_URL and JOBS_DATABASE_URL, such as \
         `postgres://user:password@host:5432/name`",
    ),
    (
        &["DB_POOL_SIZE", "DATABASE_MAX_OVERFLOW", "DB_MAX_OVERFLOW"],
        "DATABASE_POOL_SIZE",
    ),
    (
        &["DATABASE_ECHO", "DB_ECHO", "DB__ECHO"],
        "LOG_FILTER, such as `info,sqlx=debug`",
    ),
    (
        &["DB__CREATE_TABLES_ON_START", "CREATE_TABLES_ON_START"],
        "DATABASE_MIGRATE_ON_START",
    ),
    (
        &[
            "REDIS_HOST",
            "REDIS_PORT",
            "REDIS_PASSWORD",
            "REDIS_DB",
            "REDIS_CACHE_HOST",
            "REDIS_CACHE_PORT",
            "REDIS_RATE_LIMIT_HOST",
            "REDIS_RATE_LIMIT_PORT",
            "REDIS_CLIENT_HOST",
            "REDIS_CLIENT_PORT",
        ],
        "REDIS_URL, such as `redis://host:6379`",
    ),
    (
        &[
            "REDIS_QUEUE_HOST",
            "REDIS_QUEUE_PORT",
            "CELERY_BROKER_URL",
            "RABBITMQ_HOST",
            "RABBITMQ_DEFAULT_USER",
        ],
        "RABBITMQ_URL, such as `amqp://user:password@host:5672`: jobs are queued there",
    ),
    (
        &["RUN__HOST", "RUN__PORT", "HOST_PORT"],
        "HTTP_ADDRESS, such as `0.0.0.0:8000`",
    ),
    (
        &["LOG_LEVEL", "LOGGING_LEVEL", "LOG__LEVEL"],
        "LOG_FILTER, such as `info`",
    ),
    (
        &["CORS_ORIGINS", "BACKEND_CORS_ORIGINS", "ALLOWED_ORIGINS"],
        "CORS_ALLOW_ORIGINS, with commas",
    ),
    (
        &["SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASSWORD"],
        "SMTP_URL, such as `smtp://user:password@host:587`",
    ),
    (&["EMAILS_FROM_EMAIL", "EMAILS_FROM_NAME"], "MAIL_FROM"),
    (
        &["FIRST_SUPERUSER", "FIRST_SUPERUSER_EMAIL"],
        "ADMIN_EMAIL and ADMIN_USERNAME, for `quartet create-superuser`",
    ),
    (
        &["FIRST_SUPERUSER_PASSWORD"],
        "ADMIN_PASSWORD, for `quartet create-superuser`",
    ),
    (&["PROJECT_NAME", "APP_TITLE"], "APP_NAME"),
    (
        &["SERVER_HOST", "FRONTEND_HOST", "DOMAIN"],
        "PUBLIC_URL, such as `https://example.org`",
    ),
    (
        &[
            "GUNICORN__WORKERS",
            "GUNICORN_WORKERS",
            "WEB_CONCURRENCY",
            "UVICORN_WORKERS",
        ],
        "nothing: one process uses every core",
    ),
    (
        &["GUNICORN__TIMEOUT", "GUNICORN_TIMEOUT"],
        "REQUEST_TIMEOUT, such as `10s`",
    ),
    (&["APP_ENV", "ENV"], "ENVIRONMENT"),
    (
        &["DEFAULT_RATE_LIMIT_LIMIT", "DEFAULT_RATE_LIMIT_PERIOD"],
        "RATE_LIMIT_USER, such as `600/1m`",
    ),
];

/// A setting that is set and not read, by a name of somebody else.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign<'s> {
    /// The name that is set.
    pub name: &'s str,
    /// What is read in its place.
    pub ours: &'static str,
}

impl Source {
    /// The settings that are set by names of others.
    pub fn foreign(&self) -> Vec<Foreign<'_>> {
        let ours = |name: &str| {
            NAMES
                .iter()
                .find(|(names, _)| names.contains(&name))
                .map(|(_, ours)| *ours)
        };
        self.names()
            // Kubernetes sets such names itself, for every service that is there.
            .filter(|name| !self.raw(name).unwrap_or_default().starts_with("tcp://"))
            .filter_map(|name| {
                Some(Foreign {
                    name,
                    ours: ours(name)?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_somebody_else_is_known_by_ours() {
        let source = Source::of([
            ("ACCESS_TOKEN_EXPIRE_MINUTES", "30"),
            ("POSTGRES_PASSWORD", "x"),
            ("REDIS_PORT", "tcp://10.0.0.1:6379"),
            ("REDIS_URL", "redis://localhost"),
            ("PATH", "/bin"),
        ]);
        let foreign = source.foreign();
        let names: Vec<_> = foreign.iter().map(|foreign| foreign.name).collect();
        assert_eq!(names, ["ACCESS_TOKEN_EXPIRE_MINUTES", "POSTGRES_PASSWORD"]);
        assert_eq!(foreign[0].ours, "ACCESS_TOKEN_TTL, such as `15m`");
    }
}
