//! What mails say, in every language.

use super::{Language, Mail};
use crate::domain::Purpose;

/// The subject of a mail.
pub(super) fn subject(mail: &Mail) -> &'static str {
    match (mail.purpose, mail.language) {
        (Purpose::PasswordReset, Language::English) => "Set a new password",
        (Purpose::PasswordReset, Language::Russian) => "Новый пароль",
        (Purpose::EmailVerification, Language::English) => "Confirm your e-mail address",
        (Purpose::EmailVerification, Language::Russian) => "Подтвердите адрес электронной почты",
    }
}

/// The body of a mail. `public_url` is the product's address.
pub(super) fn body(mail: &Mail, public_url: &str) -> String {
    let (name, token) = (&mail.name, mail.token.expose());
    let page = match mail.purpose {
        Purpose::PasswordReset => "reset-password",
        Purpose::EmailVerification => "verify-email",
    };
    let link = format!("{}/{page}?token={token}", public_url.trim_end_matches('/'));
    match (mail.purpose, mail.language) {
        (Purpose::PasswordReset, Language::English) => format!(
            "Hello {name},\n\n\
             somebody, hopefully you, asked to set a new password. This link does it, once, within an hour:\n\n\
             {link}\n\n\
             The token, for applications that ask for it: {token}\n\n\
             If it was not you, do nothing: your password stays as it is.\n"
        ),
        (Purpose::PasswordReset, Language::Russian) => format!(
            "Здравствуйте, {name}!\n\n\
             Кто-то, надеемся, вы, запросил смену пароля. Ссылка действует один раз в течение часа:\n\n\
             {link}\n\n\
             Токен для приложений, которые его запрашивают: {token}\n\n\
             Если это были не вы, ничего не делайте: пароль останется прежним.\n"
        ),
        (Purpose::EmailVerification, Language::English) => format!(
            "Hello {name},\n\n\
             this link confirms that the address is yours. It works once, within a day:\n\n\
             {link}\n\n\
             The token, for applications that ask for it: {token}\n\n\
             If you have no account with us, do nothing.\n"
        ),
        (Purpose::EmailVerification, Language::Russian) => format!(
            "Здравствуйте, {name}!\n\n\
             Эта ссылка подтверждает, что адрес принадлежит вам. Она действует один раз в течение суток:\n\n\
             {link}\n\n\
             Токен для приложений, которые его запрашивают: {token}\n\n\
             Если у вас нет учётной записи, ничего не делайте.\n"
        ),
    }
}
