# Texts of mails. The layouts that hold them are `templates/mail.html` and `templates/mail.txt`;
# `src/mail/page.rs` puts the two together. A text is shown in HTML as well as in plain text, so it has no markup.

greeting = Hello,
greeting-named = Hello { $name },

# Stands below every link.
link-once = The link works once.
link-once-until = The link works once, until { $date }.
# In HTML, where the link is a button.
link-address = Or copy this address into your browser:
token = The token, for applications that ask for it:

welcome =
    .subject = Welcome
    .lead = Your account is ready. We are glad to have you with us.

verify =
    .subject = Confirm your e-mail address
    .lead = Please confirm that this address is yours.
    .action = Confirm the address
    .note = If you have no account with us, do nothing.

reset =
    .subject = Set a new password
    .lead = Somebody, hopefully you, asked to set a new password for your account.
    .action = Set a new password
    .note = If it was not you, do nothing: your password stays as it is.

address-change =
    .subject = Confirm your e-mail address
    .lead = Please confirm that this is to be the address of your account. Until then, the old one stays.
    .action = Confirm the address
    .note = If you did not ask for it, do nothing.

address-change-notice =
    .subject = Your e-mail address is about to change
    .lead = Somebody, hopefully you, asked to give your account another e-mail address. It changes once the link sent to the new address is followed.
    .note = If it was not you, change your password now: that signs out every other device.

reminder =
    .subject = Due soon: { $title }
    .lead = This is due soon:
    .lead-dated = This is due soon, on { $date }:
