"""Signs schemathesis in: a session of its own for every request, since some of them end sessions, and a new user whenever one was deleted."""

import json
import os
import urllib.error
import urllib.request
import uuid

import schemathesis

ADDRESS = os.environ["QUARTET_ADDRESS"]
PASSWORD = "correct horse battery"
# Makes a registered user a superuser, where the run is one of a superuser.
ROOT_TOKEN = os.environ.get("QUARTET_ROOT_TOKEN")


def call(method, path, body, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"http://{ADDRESS}{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def register():
    username = f"s{uuid.uuid4().hex[:16]}"
    body = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
    user = call("POST", "/api/v1/auth/register", body)["user"]
    if ROOT_TOKEN:
        call("PUT", f"/api/v1/auth/accounts/{user['id']}/role", {"role": "ROLE_SUPERUSER"}, ROOT_TOKEN)
    return username


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    username = None

    def get(self, case, context):
        for attempt in range(2):
            if self.username is None:
                SignedIn.username = register()
            try:
                body = {"username_or_email": self.username, "password": PASSWORD}
                return call("POST", "/api/v1/auth/login", body)["access_token"]
            except urllib.error.HTTPError as error:
                if error.code not in (401, 403) or attempt:
                    raise
                SignedIn.username = None

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


# Rules that no schema of the description states.
BEYOND_SCHEMAS = {
    "CONTROL_CHARACTERS", "REQUIRED", "PASSWORD_COMMON", "PASSWORD_CONTAINS_NAME", "PAGE_TOKEN", "PAGE_OR_TOKEN", "STRING_EMAIL", "STRING_URI",
}


@schemathesis.check
def refused_for_a_rule_beyond_schemas(ctx, response, case):
    """What the schema allows is refused only by a rule that the schema cannot state."""
    if response.status_code != 422 or case.meta is None or case.meta.generation.mode != schemathesis.GenerationMode.POSITIVE:
        return
    errors = response.json()["errors"]
    stated = [error for error in errors if error["rule"] not in BEYOND_SCHEMAS]
    assert not stated, f"the schema allows what these rules refuse: {stated}"
