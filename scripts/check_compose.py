"""Checks deploy/compose.yaml: what no engine and no schema would notice."""

import re
import sys
from pathlib import Path

import yaml

root = Path(__file__).resolve().parent.parent
compose = yaml.safe_load((root / "deploy/compose.yaml").read_text())
override = yaml.safe_load((root / "deploy/compose.tests.yaml").read_text())
settings = set(re.findall(r"^#?([A-Z0-9_]+)=", (root / ".env.example").read_text(), re.M))
identities = yaml.safe_load((root / "deploy/compose.identities.yaml").read_text())
# Of `quartet health`, and of the end-to-end tests.
settings |= {"HEALTH_ADDRESS", "QUARTET_URL"}
wrong = []


def is_ours(service):
    return service.get("image", "").startswith("${QUARTET_")


for name, service in compose["services"].items():
    environment = dict(service.get("environment") or {})
    if name != "nginx" and "ports" in service:
        wrong.append(f"{name} is published")
    if "mem_limit" not in service:
        wrong.append(f"{name}: has no limit of memory")
    if not is_ours(service):
        continue
    environment |= override["services"].get(name, {}).get("environment") or {}
    secrets = {secret.upper() for secret in service.get("secrets") or []}
    for setting in sorted((set(environment) | secrets) - settings):
        wrong.append(f"{name}: there is no setting {setting}")
    for setting in sorted(set(environment) & secrets):
        wrong.append(f"{name}: {setting} is a secret and a variable")
    if service.get("read_only") is not True or service.get("cap_drop") != ["ALL"]:
        wrong.append(f"{name}: expected a read-only root and no capabilities")

# Whoever calls or is called has an identity, by the name of its program, and the others nothing of it.
processes = {"gateway-1", "gateway-2", "auth", "users", "todos", "jobs", "jobs-worker"}
if set(identities["services"]) != processes:
    wrong.append(f"identities: {sorted(set(identities['services']) ^ processes)}")
for name, service in identities["services"].items():
    program = compose["services"][name]["command"][0]
    folders = [volume.split("}", 1)[1].split(":") for volume in service["volumes"]]
    if folders[0] != [f"/identities/{program}", "/run/identity", "ro"]:
        wrong.append(f"identities, {name}: it has the files of {folders[0][0]}")
    environment = service["environment"]
    for setting, value in environment.items():
        if setting not in settings:
            wrong.append(f"identities, {name}: there is no setting {setting}")
        if setting.endswith("_FILE") and not value.startswith("/run/identity/"):
            wrong.append(f"identities, {name}: {setting} is {value}")
    for target, port in {"AUTH": 50051, "USERS": 50052, "TODOS": 50053, "JOBS": 50054}.items():
        if environment[f"{target}_URL"] != f"https://{target.lower()}:{port}":
            wrong.append(f"identities, {name}: {target}_URL is {environment[f'{target}_URL']}")
    keys = environment.get("SERVICE_KEYS_DIR")
    if folders[1] != ["/identities/keys", keys, "ro"] or "SERVICE_KEY_FILE" not in environment:
        wrong.append(f"identities, {name}: it has no keys of services")
    if program != "gateway":
        demanded = {"SERVER_TLS_CERT_FILE", "SERVER_TLS_KEY_FILE", "SERVER_TLS_CLIENT_CA_FILE"}
        if not demanded <= set(environment):
            wrong.append(f"identities, {name}: it takes whoever calls")
        health = compose["services"][name]["environment"]["HEALTH_ADDRESS"]
        expected = health.replace("grpc://127.0.0.1", "grpcs://localhost")
        if environment["HEALTH_ADDRESS"] != expected:
            wrong.append(f"identities, {name}: its health is asked at {environment['HEALTH_ADDRESS']}")

if "name" in compose:
    wrong.append("docker-compose 1.29 knows no `name` at the top")
for line in wrong:
    print(f"deploy/compose.yaml: {line}", file=sys.stderr)
print(f"{len(compose['services'])} services, {len(wrong)} wrong")
sys.exit(bool(wrong))
