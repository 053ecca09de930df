//! What mails say, in every language.

use time::OffsetDateTime;
use time::macros::format_description;

use super::{Language, Mail, Text};

/// The subject of a mail.
pub(super) fn subject(mail: &Mail) -> String {
    match (&mail.text, mail.language) {
        (Text::Welcome, Language::English) => "Welcome".into(),
        (Text::Welcome, Language::Russian) => "Добро пожаловать".into(),
        (Text::Verify { .. }, Language::English) => "Confirm your e-mail address".into(),
        (Text::Verify { .. }, Language::Russian) => "Подтвердите адрес электронной почты".into(),
        (Text::Reset { .. }, Language::English) => "Set a new password".into(),
        (Text::Reset { .. }, Language::Russian) => "Новый пароль".into(),
        (Text::Reminder { title, .. }, Language::English) => format!("Due soon: {title}"),
        (Text::Reminder { title, .. }, Language::Russian) => format!("Скоро срок: {title}"),
    }
}

/// The body of a mail.
pub(super) fn body(mail: &Mail) -> String {
    let greeting = match (mail.language, mail.name.as_str()) {
        (Language::English, "") => "Hello,".to_owned(),
        (Language::English, name) => format!("Hello {name},"),
        (Language::Russian, "") => "Здравствуйте!".to_owned(),
        (Language::Russian, name) => format!("Здравствуйте, {name}!"),
    };
    let text = match (&mail.text, mail.language) {
        (Text::Welcome, Language::English) => "your account is ready. We are glad to have you with us.\n".to_owned(),
        (Text::Welcome, Language::Russian) => "Ваша учётная запись готова. Рады, что вы с нами.\n".to_owned(),
        (Text::Verify { link, token, until }, Language::English) => format!(
            "this link confirms that the address is yours. It works once{}:\n\n{link}\n\n{}\
             If you have no account with us, do nothing.\n",
            ending(*until, mail.language),
            token_line(token, mail.language),
        ),
        (Text::Verify { link, token, until }, Language::Russian) => format!(
            "Эта ссылка подтверждает, что адрес принадлежит вам. Она действует один раз{}:\n\n{link}\n\n{}\
             Если у вас нет учётной записи, ничего не делайте.\n",
            ending(*until, mail.language),
            token_line(token, mail.language),
        ),
        (Text::Reset { link, token, until }, Language::English) => format!(
            "somebody, hopefully you, asked to set a new password. This link does it, once{}:\n\n{link}\n\n{}\
             If it was not you, do nothing: your password stays as it is.\n",
            ending(*until, mail.language),
            token_line(token, mail.language),
        ),
        (Text::Reset { link, token, until }, Language::Russian) => format!(
            "Кто-то, надеемся, вы, запросил смену пароля. Ссылка действует один раз{}:\n\n{link}\n\n{}\
             Если это были не вы, ничего не делайте: пароль останется прежним.\n",
            ending(*until, mail.language),
            token_line(token, mail.language),
        ),
        (Text::Reminder { title, due_at }, Language::English) => {
            format!(
                "this is due soon{}:\n\n    {title}\n",
                date(*due_at).map_or_else(String::new, |date| format!(", on {date}"))
            )
        }
        (Text::Reminder { title, due_at }, Language::Russian) => {
            format!(
                "Приближается срок{}:\n\n    {title}\n",
                date(*due_at).map_or_else(String::new, |date| format!(" ({date})"))
            )
        }
    };
    format!("{greeting}\n\n{text}")
}

/// Until when a link works.
fn ending(until: Option<OffsetDateTime>, language: Language) -> String {
    match (date(until), language) {
        (None, _) => String::new(),
        (Some(date), Language::English) => format!(", until {date}"),
        (Some(date), Language::Russian) => format!(" до {date}"),
    }
}

fn token_line(token: &str, language: Language) -> String {
    match (token, language) {
        ("", _) => String::new(),
        (token, Language::English) => format!("The token, for applications that ask for it: {token}\n\n"),
        (token, Language::Russian) => format!("Токен для приложений, которые его запрашивают: {token}\n\n"),
    }
}

fn date(moment: Option<OffsetDateTime>) -> Option<String> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    moment?.to_offset(time::UtcOffset::UTC).format(format).ok()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_mail_greets_by_name_and_carries_its_link_in_either_language() {
        for (language, name, until) in [
            (Language::English, "Hello Ann,", ", until 2026-01-02 08:30 UTC:"),
            (Language::Russian, "Здравствуйте, Ann!", " до 2026-01-02 08:30 UTC:"),
        ] {
            let mail = Mail {
                id: Uuid::nil(),
                date: datetime!(2026-01-01 0:00 UTC),
                to: "ann@example.com".into(),
                name: "Ann".into(),
                language,
                text: Text::Reset {
                    link: "https://example.com/reset?token=abc".into(),
                    token: "abc".into(),
                    until: Some(datetime!(2026-01-02 08:30 UTC)),
                },
            };
            let body = body(&mail);
            assert!(body.starts_with(name) && body.contains(until), "{body}");
            assert!(
                body.contains("\nhttps://example.com/reset?token=abc\n") && body.contains(": abc\n"),
                "{body}"
            );
        }
    }
}
