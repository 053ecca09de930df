//! What mails say, in every language.

use time::OffsetDateTime;
use time::macros::format_description;

use super::{Language, Mail, Text};

/// The subject of a mail.
pub(super) fn subject(mail: &Mail) -> String {
    match (&mail.text, mail.language) {
        (Text::Welcome, Language::English) => "Welcome".into(),
        (Text::Welcome, Language::Russian) => "Добро пожаловать".into(),
        (Text::Verify { .. } | Text::AddressChange { .. }, Language::English) => "Confirm your e-mail address".into(),
        (Text::Verify { .. } | Text::AddressChange { .. }, Language::Russian) => {
            "Подтвердите адрес электронной почты".into()
        }
        (Text::Reset { .. }, Language::English) => "Set a new password".into(),
        (Text::Reset { .. }, Language::Russian) => "Новый пароль".into(),
        (Text::AddressChangeNotice, Language::English) => "Your e-mail address is about to change".into(),
        (Text::AddressChangeNotice, Language::Russian) => "Запрошена смена адреса электронной почты".into(),
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
    let text = match mail.language {
        Language::English => english(&mail.text),
        Language::Russian => russian(&mail.text),
    };
    format!("{greeting}\n\n{text}")
}

fn english(text: &Text) -> String {
    let until =
        |moment: &Option<OffsetDateTime>| date(*moment).map_or_else(String::new, |date| format!(", until {date}"));
    let told = |link: &str, token: &str| match token {
        "" => link.to_owned(),
        token => format!("{link}\n\nThe token, for applications that ask for it: {token}"),
    };
    match text {
        Text::Welcome => "your account is ready. We are glad to have you with us.\n".into(),
        Text::Verify {
            link,
            token,
            until: moment,
        } => format!(
            "this link confirms that the address is yours. It works once{}:\n\n{}\n\n\
             If you have no account with us, do nothing.\n",
            until(moment),
            told(link, token),
        ),
        Text::Reset {
            link,
            token,
            until: moment,
        } => format!(
            "somebody, hopefully you, asked to set a new password. This link does it, once{}:\n\n{}\n\n\
             If it was not you, do nothing: your password stays as it is.\n",
            until(moment),
            told(link, token),
        ),
        Text::AddressChange {
            link,
            token,
            until: moment,
        } => format!(
            "this link makes this address the one of your account, which keeps the old one until then. It works once{}:\n\n{}\n\n\
             If you did not ask for it, do nothing.\n",
            until(moment),
            told(link, token),
        ),
        Text::AddressChangeNotice => "somebody, hopefully you, asked to give your account another e-mail address. \
             It changes once the link sent to the new address is followed.\n\n\
             If it was not you, change your password now: that signs out every other device.\n"
            .into(),
        Text::Reminder { title, due_at } => {
            let date = date(*due_at).map_or_else(String::new, |date| format!(", on {date}"));
            format!("this is due soon{date}:\n\n    {title}\n")
        }
    }
}

fn russian(text: &Text) -> String {
    let until = |moment: &Option<OffsetDateTime>| date(*moment).map_or_else(String::new, |date| format!(" до {date}"));
    let told = |link: &str, token: &str| match token {
        "" => link.to_owned(),
        token => format!("{link}\n\nТокен для приложений, которые его запрашивают: {token}"),
    };
    match text {
        Text::Welcome => "Ваша учётная запись готова. Рады, что вы с нами.\n".into(),
        Text::Verify {
            link,
            token,
            until: moment,
        } => format!(
            "Эта ссылка подтверждает, что адрес принадлежит вам. Она действует один раз{}:\n\n{}\n\n\
             Если у вас нет учётной записи, ничего не делайте.\n",
            until(moment),
            told(link, token),
        ),
        Text::Reset {
            link,
            token,
            until: moment,
        } => format!(
            "Кто-то, надеемся, вы, запросил смену пароля. Ссылка действует один раз{}:\n\n{}\n\n\
             Если это были не вы, ничего не делайте: пароль останется прежним.\n",
            until(moment),
            told(link, token),
        ),
        Text::AddressChange {
            link,
            token,
            until: moment,
        } => format!(
            "Эта ссылка сделает этот адрес адресом вашей учётной записи; до этого остаётся прежний. Она действует один раз{}:\n\n{}\n\n\
             Если вы этого не запрашивали, ничего не делайте.\n",
            until(moment),
            told(link, token),
        ),
        Text::AddressChangeNotice => {
            "Кто-то, надеемся, вы, запросил смену адреса электронной почты вашей учётной записи. \
             Адрес сменится после перехода по ссылке, отправленной на новый.\n\n\
             Если это были не вы, немедленно смените пароль: все остальные устройства выйдут из учётной записи.\n"
                .into()
        }
        Text::Reminder { title, due_at } => {
            let date = date(*due_at).map_or_else(String::new, |date| format!(" ({date})"));
            format!("Приближается срок{date}:\n\n    {title}\n")
        }
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

    const LINK: &str = "https://example.com/page?token=abc";
    const LANGUAGES: [Language; 2] = [Language::English, Language::Russian];

    fn mail(language: Language, text: Text) -> Mail {
        Mail {
            id: Uuid::nil(),
            date: datetime!(2026-01-01 0:00 UTC),
            to: "ann@example.com".into(),
            name: "Ann".into(),
            language,
            text,
        }
    }

    /// Every text that carries a link.
    fn linked(token: &str) -> [Text; 3] {
        let (link, token) = (LINK.to_owned(), token.to_owned());
        let until = Some(datetime!(2026-01-02 08:30 UTC));
        [
            Text::Verify {
                link: link.clone(),
                token: token.clone(),
                until,
            },
            Text::Reset {
                link: link.clone(),
                token: token.clone(),
                until,
            },
            Text::AddressChange { link, token, until },
        ]
    }

    #[test]
    fn a_mail_greets_by_name_and_carries_its_link_in_either_language() {
        for (language, name, until) in [
            (Language::English, "Hello Ann,\n", ", until 2026-01-02 08:30 UTC:\n"),
            (Language::Russian, "Здравствуйте, Ann!\n", " до 2026-01-02 08:30 UTC:\n"),
        ] {
            for text in linked("abc") {
                let body = body(&mail(language, text));
                assert!(body.starts_with(name) && body.contains(until), "{body}");
                assert!(
                    body.contains(&format!("\n{LINK}\n")) && body.contains(": abc\n"),
                    "{body}"
                );
            }
            for text in linked("") {
                let body = body(&mail(language, text));
                assert!(
                    body.contains(&format!("\n\n{LINK}\n\n")) && body.matches("abc").count() == 1,
                    "{body}"
                );
            }
        }
    }

    #[test]
    fn every_text_is_its_own_in_every_language() {
        let mut texts: Vec<Text> = linked("abc").into();
        texts.extend([
            Text::Welcome,
            Text::AddressChangeNotice,
            Text::Reminder {
                title: "Milk".into(),
                due_at: None,
            },
        ]);
        let mut bodies: Vec<_> = LANGUAGES
            .into_iter()
            .flat_map(|language| texts.iter().map(move |text| body(&mail(language, text.clone()))))
            .collect();
        let count = bodies.len();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), count);
    }
}
