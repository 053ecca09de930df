//! What mails say, in every language.

use super::{Language, Mail};
use crate::domain::Purpose;

/// The subject of a mail.
pub(super) fn subject(mail: &Mail) -> &'static str {
    match (mail.purpose, mail.language) {
        (Purpose::PasswordReset, Language::English) => "Set a new password",
        (Purpose::PasswordReset, Language::Russian) => "Новый пароль",
        (Purpose::EmailVerification | Purpose::EmailChange, Language::English) => "Confirm your e-mail address",
        (Purpose::EmailVerification | Purpose::EmailChange, Language::Russian) => "Подтвердите адрес электронной почты",
        (Purpose::EmailChangeNotice, Language::English) => "Your e-mail address is about to change",
        (Purpose::EmailChangeNotice, Language::Russian) => "Запрошена смена адреса электронной почты",
    }
}

/// The body of a mail. `public_url` is the product's address.
pub(super) fn body(mail: &Mail, public_url: &str) -> String {
    let (name, token) = (&mail.name, mail.token.expose());
    let link = |page: &str| format!("{}/{page}?token={token}", public_url.trim_end_matches('/'));
    match mail.purpose {
        Purpose::PasswordReset => reset(mail.language, name, &link("reset-password"), &token),
        Purpose::EmailVerification => verification(mail.language, name, &link("verify-email"), &token),
        Purpose::EmailChange => change(mail.language, name, &link("verify-email"), &token),
        Purpose::EmailChangeNotice => change_notice(mail.language, name),
    }
}

fn reset(language: Language, name: &str, link: &str, token: &str) -> String {
    match language {
        Language::English => format!(
            "Hello {name},\n\n\
             somebody, hopefully you, asked to set a new password. This link does it, once, within an hour:\n\n\
             {link}\n\n\
             The token, for applications that ask for it: {token}\n\n\
             If it was not you, do nothing: your password stays as it is.\n"
        ),
        Language::Russian => format!(
            "Здравствуйте, {name}!\n\n\
             Кто-то, надеемся, вы, запросил смену пароля. Ссылка действует один раз в течение часа:\n\n\
             {link}\n\n\
             Токен для приложений, которые его запрашивают: {token}\n\n\
             Если это были не вы, ничего не делайте: пароль останется прежним.\n"
        ),
    }
}

fn verification(language: Language, name: &str, link: &str, token: &str) -> String {
    match language {
        Language::English => format!(
            "Hello {name},\n\n\
             this link confirms that the address is yours. It works once, within a day:\n\n\
             {link}\n\n\
             The token, for applications that ask for it: {token}\n\n\
             If you have no account with us, do nothing.\n"
        ),
        Language::Russian => format!(
            "Здравствуйте, {name}!\n\n\
             Эта ссылка подтверждает, что адрес принадлежит вам. Она действует один раз в течение суток:\n\n\
             {link}\n\n\
             Токен для приложений, которые его запрашивают: {token}\n\n\
             Если у вас нет учётной записи, ничего не делайте.\n"
        ),
    }
}

fn change(language: Language, name: &str, link: &str, token: &str) -> String {
    match language {
        Language::English => format!(
            "Hello {name},\n\n\
             this link makes this address the one of your account. It works once, within a day; until then your account keeps the old one:\n\n\
             {link}\n\n\
             The token, for applications that ask for it: {token}\n\n\
             If you did not ask for it, do nothing.\n"
        ),
        Language::Russian => format!(
            "Здравствуйте, {name}!\n\n\
             Эта ссылка сделает этот адрес адресом вашей учётной записи. Она действует один раз в течение суток; до этого остаётся прежний адрес:\n\n\
             {link}\n\n\
             Токен для приложений, которые его запрашивают: {token}\n\n\
             Если вы этого не запрашивали, ничего не делайте.\n"
        ),
    }
}

fn change_notice(language: Language, name: &str) -> String {
    match language {
        Language::English => format!(
            "Hello {name},\n\n\
             somebody, hopefully you, asked to give your account another e-mail address. It changes once the link sent to the new address is followed.\n\n\
             If it was not you, change your password now: that signs out every other device.\n"
        ),
        Language::Russian => format!(
            "Здравствуйте, {name}!\n\n\
             Кто-то, надеемся, вы, запросил смену адреса электронной почты вашей учётной записи. Адрес сменится после перехода по ссылке, отправленной на новый.\n\n\
             Если это были не вы, немедленно смените пароль: все остальные устройства выйдут из учётной записи.\n"
        ),
    }
}
