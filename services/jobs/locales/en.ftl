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

address-taken =
    .subject = Somebody tried to use your e-mail address
    .lead = Somebody tried to register with your address, or to give it to another account. You have an account with us already, and it stays as it is.
    .note = If it was you, sign in to that account, or set a new password if you have forgotten it. If it was not you, do nothing.

address-change-undo =
    .subject = Your e-mail address has changed
    .lead = Your account has another e-mail address now. If it was not you, undo it: the account gets this address back, and every device is signed out. Then set a new password.
    .action = Undo the change
    .note = If it was you, do nothing.

webhooks-paused =
    .subject = Your webhooks are switched off
    .lead = The password of your account was reset. Its webhooks are switched off, since somebody else may have made them. Switch those on again that you know, and delete the others.
    .note = If you did not set a new password, do it now.

reminder =
    .subject = Due soon: { $title }
    .lead = This is due soon:
    .lead-dated = This is due soon, on { $date }:
