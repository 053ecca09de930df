"""Authenticates schemathesis: a new session for every request, since some of them end sessions, and a new
user when one was deleted."""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
import uuid

import schemathesis

ADDRESS = os.environ["TEST_ADDRESS"]
PASSWORD = "correct horse battery"


def call(method, path, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{ADDRESS}{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def new_user():
    username = f"s{uuid.uuid4().hex[:16]}"
    email = f"{username}@example.org"
    if os.environ["TEST_ROLE"] == "superuser":
        # With the operator's command: a superuser who could set the role may be deleted as well.
        command = [os.environ["TEST_OPERATOR"], "create-superuser", "--username", username, "--email", email]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "ADMIN_PASSWORD": PASSWORD})
    else:
        call("POST", "/api/v1/auth/register", {"username": username, "email": email, "password": PASSWORD})
    return username


def login(username):
    return call("POST", "/api/v1/auth/login", {"username_or_email": username, "password": PASSWORD})["access_token"]


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    username = None
    id = None

    def get(self, case, context):
        try:
            if self.username is not None:
                return login(self.username)
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403):
                raise
        SignedIn.username = new_user()
        token = login(self.username)
        payload = token.split(".")[1]
        SignedIn.id = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
        return token

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


# Operations that end the user that they name.
ENDINGS = {
    ("DELETE", "/api/v1/users/{user_id}"): "user_id",
    ("DELETE", "/api/v1/users/{user_id}:purge"): "user_id",
    ("PUT", "/api/v1/auth/accounts/{account_id}/role"): "account_id",
    ("PUT", "/api/v1/auth/accounts/{account_id}/status"): "account_id",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Never ends the current user, since the next steps need the resources of the steps before."""
    name = ENDINGS.get((case.method.upper(), case.operation.path))
    if name and (case.path_parameters or {}).get(name) == SignedIn.id:
        case.path_parameters[name] = str(uuid.uuid4())


# Rules that no schema can express.
BEYOND_SCHEMAS = {
    "CONTROL_CHARACTERS", "REQUIRED", "ONE_OF", "ONEOF_REQUIRED", "PASSWORD_COMMON", "PASSWORD_CONTAINS_NAME", "UNKNOWN_PATH", "PAGE_TOKEN", "PAGE_OR_TOKEN", "STRING_EMAIL", "STRING_IP", "STRING_URI",
}


@schemathesis.check
def refused_for_a_rule_beyond_schemas(ctx, response, case):
    """Valid input by the schema is refused only by a rule that the schema cannot express."""
    if response.status_code != 422 or case.meta is None or case.meta.generation.mode != schemathesis.GenerationMode.POSITIVE:
        return
    errors = response.json()["errors"]
    stated = [error for error in errors if error["rule"] not in BEYOND_SCHEMAS]
    assert not stated, f"the schema allows what these rules refuse: {stated}"
