# Titles and details of problems. One message per value of `quartet.options.v1.Reason`; see `src/l10n/catalog.rs`.

validation-failed = Some fields break their rules
    .detail = { $more ->
        [0] { $first }
       *[other] { $first } (and { $more } more)
    }
internal = Something failed inside
    .detail = Something failed on our side. The request id helps us to find it.
unavailable = Temporarily unavailable
    .detail = A part of the service is temporarily unavailable. Please try again in a moment.
overloaded = Too busy
    .detail = A part of the service has more to do than it can take. Please try again in a moment.
deadline-exceeded = It took too long
    .detail = The time for the request was up before the work was done.
rate-limited = Too many requests
    .detail = Too many requests: the limit “{ $limit }” is used up. Please wait before you try again.
cancelled = The request was given up
    .detail = The request was given up before it was answered.
slow-consumer = Read too slowly
    .detail = The stream was read too slowly and was ended. Take it up again from the last message that you have.

token-missing = An access token is needed
    .detail = Please sign in: the request carries no access token in a header “Authorization: Bearer …”.
token-invalid = The access token is not valid
    .detail = The access token is malformed, or it is not meant for this service.
token-expired = The access token has expired
    .detail = The access token has expired. Please refresh it or sign in again.
token-revoked = The session was ended
    .detail = The session of this access token was ended. Please sign in again.
permission-denied = Not allowed
    .detail = You may not do this.

username-taken = The user name is taken
    .detail = Somebody else has this user name, or an account that was deleted had it. Choose another one; if the account was yours, a superuser can restore it.
email-taken = The address is in use
    .detail = There is an account with this e-mail address, perhaps a deleted one. Sign in or reset the password; a superuser can restore a deleted account.
invalid-credentials = The name or the password is wrong
    .detail = The name or the password is wrong.
too-many-attempts = Too many failed attempts
    .detail = Too many failed attempts. Please wait before you try again.
hashing-busy = Too busy to check a password
    .detail = Too many passwords are being checked at the moment. Please try again in a moment.
unsupported-grant-type = The grant type is not supported
    .detail = The grant type must be “password” or “refresh_token”.
invalid-refresh-token = The refresh token is not valid
    .detail = The refresh token is unknown or has expired. Please sign in again.
refresh-token-reused = The refresh token was used before
    .detail = The refresh token was used before, so its session was ended. Please sign in again.
session-not-found = There is no such session
    .detail = You have no such session.
wrong-password = The current password is wrong
    .detail = The current password is wrong.
invalid-reset-token = The reset link is not valid
    .detail = The link to reset the password is unknown, was used, or has expired.
invalid-verification-token = The verification link is not valid
    .detail = The link to verify the address is unknown, was used, or has expired.
email-already-verified = The address is verified already
    .detail = The e-mail address is verified already.
account-not-found = There is no such account
    .detail = There is no such account.
last-superuser = The last superuser must stay
    .detail = There would be no superuser left.
account-disabled = The account is disabled
    .detail = The account was disabled by an administrator.
origin-not-allowed = The page may not use cookies
    .detail = The request came from a page of another site, which may neither use nor set cookies.
insufficient-user-authentication = Prove who you are once more
    .detail = This needs a recent proof of who you are. Please enter your password once more.
mfa-required = A code is needed
    .detail = The password is right. Please enter a code of your second factor, too.
invalid-challenge = The login has to begin anew
    .detail = The login took too long, or the password has changed meanwhile. Please sign in again.
wrong-code = The code is wrong
    .detail = The code is wrong, or it was used before. Please wait for the next one.
second-factor-exists = There is a second factor already
    .detail = Your account has a second factor already. Remove it first.
second-factor-not-found = There is no second factor
    .detail = The account has no second factor.
invalid-client = The client is not known
    .detail = The client is unknown, or its secret is wrong or missing.
unsupported-token-type = Tokens of this type cannot be revoked
    .detail = Access tokens cannot be revoked one by one. A logout ends their session.
invalid-undo-token = The link is not valid
    .detail = The link to undo the change of the address is unknown, was used, or has expired.

user-not-found = There is no such user
    .detail = There is no such user.
not-your-user = The user is somebody else
    .detail = You may do this to your own user only.
profile-not-found = There is no profile
    .detail = The user has no profile.
tier-not-found = There is no such tier
    .detail = There is no such tier.
tier-name-taken = The name of the tier is taken
    .detail = There is a tier of this name.
rate-limit-not-found = There is no such rate limit
    .detail = There is no such rate limit.
rate-limit-exists = The path has a limit already
    .detail = The tier has a rate limit for this path.
rate-limit-name-taken = The name of the rate limit is taken
    .detail = The tier has a rate limit of this name.

todo-not-found = There is no such todo
    .detail = There is no such todo.
tag-not-found = There is no such tag
    .detail = There is no such tag.
tag-name-taken = The name of the tag is taken
    .detail = You have a tag of this name.

task-not-found = There is no such task
    .detail = There is no such task.
task-ended = The task has ended
    .detail = The task has ended, so there is nothing to cancel.
task-not-retryable = The task has not failed
    .detail = The task has not failed, so there is nothing to start again.
task-key-reused = The key belongs to another task
    .detail = You have a task of another kind or content with this key.
task-kind-not-allowed = Not a task for you
    .detail = Only superusers may start tasks of this kind.
download-link-invalid = The link is not valid
    .detail = The link is not valid, or it has expired. Its owner gets a new one from the task.
result-not-found = There is no file
    .detail = The task has made no file, or its file is gone.
upload-too-large = The file is too large
    .detail = The file is larger than { $limit } bytes.
webhook-not-found = There is no such webhook
    .detail = There is no such webhook.
webhook-limit-reached = Too many webhooks
    .detail = You may have { $limit } webhooks.
quota-exceeded = You have as many as you may have
    .detail = { $quota ->
        [tasks] You may have { $limit } unfinished tasks of one priority. Wait until some of them have ended.
        [todos] You may have { $limit } todos. Delete some of them first.
        [tags] You may have { $limit } tags. Delete some of them first.
       *[other] You may have { $limit } of them ({ $quota }).
    }

route-not-found = There is nothing at this address
    .detail = There is nothing at this address.
    .near = There is nothing at this address. Is it { $near } that you mean?
    .described = There is nothing at this address. { $described } shows the addresses that there are.
method-not-allowed = The method is not allowed here
    .detail = This address does not take { $method }, but { $allow }.
    .bare = This address does not take { $method }.
unsupported-media-type = The type of the body is not supported
    .detail = The body has to be one of { $taken }, in UTF-8 and without a Content-Encoding.
    .encoding = The body has to come without a Content-Encoding.
    .json-as-form = The body is JSON, but its Content-Type is that of a form. Send it with the header “Content-Type: application/json”.
    .bare = The type of the body is not supported.
malformed-json = The body is not valid JSON
    .detail = The body is not valid JSON: line { $line }, column { $column }: { $expected }.
    .bare = The body is not valid JSON.
body-too-large = The body is too large
    .detail = The body is larger than { $limit }.
not-acceptable = No acceptable representation
    .detail = There is no representation that the request accepts.
bad-request = The request was not understood
    .detail = { $cause ->
        [timeout] The header { $header } has to be a number of seconds above zero, or one with a unit, as “2s” or “500ms”.
        [path-encoding] The path is not percent-encoded UTF-8.
        [parameters-encoding] The parameters are not percent-encoded UTF-8.
        [too-many-parameters] There are more than 500 parameters.
        [query-too-long] The query is longer than 32 KiB.
        [form-encoding] The form is not UTF-8.
        [host] The request has to name its host once, in the header Host.
        [body-refused] This address takes no body.
        [body-unread] The body could not be read.
        [multipart] The form is malformed, or it breaks off.
       *[other] The request was not understood: { $message }
    }
    .bare = The request was not understood: { $message }

idempotency-key-reused = The Idempotency-Key belongs to another request
    .detail = The Idempotency-Key was used for another request. A new request needs a new key.
idempotency-key-in-use = A request with the Idempotency-Key is still running
    .detail = Another request with the Idempotency-Key is still running.
idempotency-key-refused = No Idempotency-Key here
    .detail = The reply holds a secret and is never kept, so that this method takes no Idempotency-Key.
etag-mismatch = It has changed since
    .detail = It has changed since you have read it. Read it again, and decide anew.
precondition-required = The version is required
    .detail = The header If-Match with the ETag of what is to be changed is required.

# Pages: where links in mails lead, and `/` in a browser; see `src/pages.rs`. A message or attribute `page-…` is a text of one.

page-incomplete-link = The link is incomplete. Copy all of it from the mail.

page-verify-email = Confirm your e-mail address
    .lead = One click, and the address is confirmed.
    .submit = Confirm the address
    .done = The address is confirmed. You can close this page.
page-reset-password = Set a new password
    .lead = All devices are signed out once the new password is set.
    .submit = Set the password
    .done = The new password is set. You can sign in with it now.
page-undo-email-change = Undo the change of the address
    .lead = The account gets this address back, and all devices are signed out. Set a new password then.
    .submit = Undo the change
    .done = The account has this address again. Set a new password now.

page-field-new-password = New password
    .hint = At least 8 characters. A few words that nobody would guess are better than one with special characters.

page-problem =
    .code = Code for programs
page-home =
    .what = This is an API: programs call it over REST, gRPC and WebSockets.
    .links = Where to go
    .steps = First steps
page-home-link-docs = Try every call (Swagger UI)
page-home-link-redoc = Read about every call (Redoc)
page-home-link-openapi = The description for programs (OpenAPI)
page-home-link-asyncapi = The description of the WebSocket (AsyncAPI)
page-home-link-health = Is everything well?
page-home-step-register = Open an account:
page-home-step-token = Sign in, and keep the access token:
page-home-step-todo = Write a todo, and list yours:
