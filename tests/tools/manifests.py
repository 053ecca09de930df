"""Compares the rendered manifests with what they start: the contracts, .env.example and compose.

    manifests.py FOLDER    FOLDER has dev.yaml and prod.yaml, as `kubectl kustomize` renders them

Compose is compared where deploy/compose.yaml is there.
"""

import glob
import os
import re
import sys

import yaml

root = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PROGRAMS = {
    "gateway": "gateway",
    "auth": "auth",
    "users": "users",
    "todos": "todos",
    "jobs": "jobs",
    "jobs-worker": "jobs",
}
# Settings that are about the place, so they differ between compose and Kubernetes.
OF_THE_PLACE = set(
    "ENVIRONMENT PUBLIC_URL CORS_ALLOW_ORIGINS TRUSTED_PROXIES COOKIE_SECURE SMTP_URL MAIL_FROM LOG_FILTER SHUTDOWN_DELAY "
    "OTEL_EXPORTER_OTLP_ENDPOINT OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER OTEL_TRACES_SAMPLER_ARG HEALTH_ADDRESS".split()
)
failures, checked = [], 0


def check(good, text):
    global checked
    checked += 1
    if not good:
        failures.append(text)


def read(path):
    with open(f"{root}/{path}", encoding="utf-8") as file:
        return file.read()


def seconds(span):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", span).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


def known_settings():
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", read(".env.example"), re.M))


def contracts():
    """The gRPC services of the contracts, which are the names that health checks know."""
    names = set()
    for path in glob.glob(f"{root}/proto/quartet/*/v1/*.proto"):
        text = open(path, encoding="utf-8").read()
        package = re.search(r"^package ([\w.]+);", text, re.M)[1]
        names |= {f"{package}.{name}" for name in re.findall(r"^service (\w+)", text, re.M)}
    return names


class Manifests:
    """What one overlay renders."""

    def __init__(self, name, path):
        self.name = name
        with open(path, encoding="utf-8") as file:
            self.all = [one for one in yaml.safe_load_all(file) if one]
        for one in self.all:
            check(
                one["kind"] == "Namespace" or one["metadata"].get("namespace") == "quartet",
                f"{name}: {one['kind']} {one['metadata']['name']} is in no namespace",
            )

    def of(self, kind):
        return {one["metadata"]["name"]: one for one in self.all if one["kind"] == kind}

    def data(self, kind, name):
        return next((one.get("data") or {} for key, one in self.of(kind).items() if key == name), None)

    def environment(self, container):
        """The settings of a container: its ConfigMaps, then its own."""
        values = {}
        for source in container.get("envFrom", []):
            data = self.data("ConfigMap", source["configMapRef"]["name"])
            check(data is not None, f"{self.name}: ConfigMap {source['configMapRef']['name']} does not exist")
            values |= data or {}
        return values | {one["name"]: str(one["value"]) for one in container.get("env", [])}

    def secrets(self, pod):
        """The names of the Secrets that a pod has as files, without the kustomize hash."""
        volume = next((one for one in pod["volumes"] if one["name"] == "secrets"), None)
        sources = volume["projected"]["sources"] if volume else []
        return [(one["secret"]["name"], one["secret"].get("optional", False)) for one in sources]


def check_pod(where, manifests, pod, settings):
    """What every pod of the suite has to be: the image, its user, and no rights."""
    check(pod.get("automountServiceAccountToken") is False, f"{where}: it has a token of its ServiceAccount")
    check(pod.get("enableServiceLinks") is False, f"{where}: variables of Services would be read as settings")
    check(
        pod.get("serviceAccountName") in manifests.of("ServiceAccount"),
        f"{where}: its ServiceAccount does not exist",
    )
    context = pod["securityContext"]
    check(
        context.get("runAsNonRoot") is True and context.get("runAsUser") == 65532,
        f"{where}: its user is not 65532",
    )
    check(context["seccompProfile"]["type"] == "RuntimeDefault", f"{where}: it has no seccomp profile")
    for container in pod.get("initContainers", []) + pod["containers"]:
        image = container["image"]
        check(
            re.fullmatch(r"(.*/)?quartet(:(?!latest)[\w.-]+|@sha256:[0-9a-f]{64})", image),
            f"{where}: its image is {image}",
        )
        rights = container["securityContext"]
        check(
            rights["readOnlyRootFilesystem"]
            and not rights["allowPrivilegeEscalation"]
            and rights["capabilities"] == {"drop": ["ALL"]},
            f"{where}: {container['name']} has rights or a root file system that it can write",
        )
        for name in manifests.environment(container):
            check(name in settings, f"{where}: {name} is no setting of .env.example")
        resources = container["resources"]
        check(
            set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"},
            f"{where}: requests and limits are not complete",
        )
        for mount in container["volumeMounts"]:
            check(
                mount["name"] in {one["name"] for one in pod["volumes"]},
                f"{where}: the volume {mount['name']} does not exist",
            )
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        check("/run/secrets" in paths, f"{where}: {container['name']} has no secrets")
    known = {re.sub(r"-[a-z0-9]{10}$", "", name): one for name, one in manifests.of("Secret").items()}
    for name, optional in manifests.secrets(pod):
        secret = known.get(re.sub(r"-[a-z0-9]{10}$", "", name))
        check(secret or optional or manifests.name == "prod", f"{where}: the Secret {name} does not exist")
        for key in (secret or {}).get("data", {}):
            check(key.upper() in settings, f"{where}: the secret {key} is no setting of .env.example")


def check_probes(where, manifests, name, container, names):
    environment = manifests.environment(container)
    program = PROGRAMS[name]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    setting = "HTTP_ADDRESS" if name == "gateway" else f"{program.upper()}_GRPC_ADDRESS"
    port = ports["http" if name == "gateway" else "grpc"]
    check(environment.get(setting) == f"0.0.0.0:{port}", f"{where}: its port is not that of {setting}")
    check(
        environment.get("METRICS_ADDRESS") == f"0.0.0.0:{ports['metrics']}",
        f"{where}: the port of metrics is not METRICS_ADDRESS",
    )
    probes = {kind: container.get(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")}
    health = read("gateway/src/health.rs")
    for kind, probe in probes.items():
        check(probe, f"{where}: it has no {kind} probe")
        if not probe:
            continue
        if name == "gateway":
            path = probe["httpGet"]["path"]
            check(
                probe["httpGet"]["port"] == "http" and f'"{path}"' in health,
                f"{where}: nothing answers its {kind} probe",
            )
            check(
                path == ("/readyz" if kind == "readiness" else "/livez"),
                f"{where}: its {kind} probe is {path}",
            )
        elif "SERVER_TLS_CLIENT_CA_FILE" in environment:
            # The kubelet has no certificate.
            command = probe.get("exec", {}).get("command")
            check(
                command == ["quartet", "health", f"grpcs://localhost:{port}"] and "grpc" not in probe,
                f"{where}: its {kind} probe is {probe}, where callers need a certificate",
            )
        else:
            asked = probe["grpc"].get("service", "")
            check(probe["grpc"]["port"] == port, f"{where}: its {kind} probe is of another port")
            check(
                not asked or asked in names and f".{program}." in asked,
                f"{where}: no gRPC service is named {asked}",
            )
    check(len({str(probe) for probe in probes.values()}) == 3, f"{where}: two probes are the same")
    wait = probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"]
    check(
        wait > seconds(known_settings()["DATABASE_CONNECT_TIMEOUT"]),
        f"{where}: it is given up while it still waits for its database",
    )
    life = [p["periodSeconds"] * p["failureThreshold"] for p in (probes["readiness"], probes["liveness"])]
    check(life[0] < life[1], f"{where}: it is restarted before it is unready")


def check_identity(where, manifests, name, pod):
    """A process has the files of its own identity, where the others demand one."""
    environment = manifests.environment(pod["containers"][0])
    scheme = environment["AUTH_URL"].split(":")[0]
    check((scheme == "https") == (manifests.name == "prod"), f"{where}: it calls others by {scheme}")
    mounts = {one["mountPath"]: one["name"] for one in pod["containers"][0]["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["volumes"]}
    folders = {"_FILE": "/run/identity", "_DIR": "/run/service-keys"}
    files = {
        key: value
        for key, value in environment.items()
        if re.match(r"(UPSTREAM|SERVER_TLS|SERVICE_KEY)\w*(_FILE|_DIR)$", key)
    }
    check(len(files) == (8 if scheme == "https" else 0), f"{where}: its files are {sorted(files)}")
    for key, value in files.items():
        folder = next(folder for end, folder in folders.items() if key.endswith(end))
        check(value == folder or value.startswith(f"{folder}/"), f"{where}: {key} is {value}")
        check(folder in mounts, f"{where}: {folder} is not mounted")
    if scheme == "https":
        secret = volumes[mounts["/run/identity"]].get("secret", {}).get("secretName")
        check(secret == f"{PROGRAMS[name]}-identity", f"{where}: its identity is {secret}")
        keys = volumes[mounts["/run/service-keys"]].get("configMap", {}).get("name")
        check(keys == "service-keys", f"{where}: the keys of services are {keys}")


def check_stop(where, manifests, name, pod):
    container = pod["containers"][0]
    environment = known_settings() | manifests.environment(container)
    before = (container.get("lifecycle") or {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    timeout = seconds(environment["SHUTDOWN_TIMEOUT"])
    if name == "gateway":
        delay = seconds(environment["SHUTDOWN_DELAY"])
        check(delay >= 5, f"{where}: it stops before load balancers have left it")
        least = before + delay + timeout
    else:
        # Calls in flight, then background work.
        least = before + 2 * timeout
        check(before >= 5, f"{where}: it stops before its callers have left it")
    check(
        pod["terminationGracePeriodSeconds"] > least,
        f"{where}: it is killed before it has stopped, which takes {least} s",
    )


def check_policies(manifests):
    """Each arrow has both of its ends, and every pod is under the policy that allows nothing."""
    policies = manifests.of("NetworkPolicy")
    deny = policies.get("default-deny", {}).get("spec", {})
    check(
        deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        f"{manifests.name}: nothing denies by default",
    )

    pods = {}
    for kind in ("Deployment", "StatefulSet", "Job", "CronJob"):
        for one in manifests.of(kind).values():
            template = (
                one["spec"]["jobTemplate"]["spec"]["template"]
                if kind == "CronJob"
                else one["spec"]["template"]
            )
            labels = template["metadata"]["labels"]
            pods[labels["app.kubernetes.io/name"]] = (
                labels,
                template["spec"]["containers"][0].get("ports", []),
            )

    def selected(selector):
        found = set()
        for name, (labels, _) in pods.items():
            equal = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
            within = all(
                labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", [])
            )
            if equal and within:
                found.add(name)
        return found

    arrows = {"Ingress": set(), "Egress": set()}
    for policy in policies.values():
        here = selected(policy["spec"]["podSelector"])
        check(
            here or not policy["spec"]["podSelector"],
            f"{manifests.name}: NetworkPolicy {policy['metadata']['name']} selects nothing",
        )
        for direction, side in (("Ingress", "from"), ("Egress", "to")):
            for rule in policy["spec"].get(direction.lower(), []):
                for peer in rule[side]:
                    if set(peer) != {"podSelector"}:
                        continue
                    for there in selected(peer["podSelector"]):
                        for one in here:
                            caller, called = (one, there) if direction == "Egress" else (there, one)
                            if caller != called:
                                for port in rule["ports"]:
                                    numbers = {p["name"]: p["containerPort"] for p in pods[called][1]}
                                    check(
                                        port["port"] in numbers or port["port"] in numbers.values(),
                                        f"{manifests.name}: {called} has no port {port['port']}",
                                    )
                                    arrows[direction].add(
                                        (caller, called, numbers.get(port["port"], port["port"]))
                                    )
    for arrow in arrows["Ingress"] ^ arrows["Egress"]:
        check(False, f"{manifests.name}: the arrow {arrow} is allowed at one end alone")
    check(len(arrows["Ingress"]) >= 14, f"{manifests.name}: arrows are missing: {len(arrows['Ingress'])}")
    # Whom a process calls is what its settings name.
    for caller in PROGRAMS:
        called = {to for one, to, _ in arrows["Egress"] if one == caller and to in PROGRAMS}
        expected = {
            "gateway": {"auth", "users", "todos", "jobs"},
            "jobs": {"auth", "users", "todos"},
            "jobs-worker": {"auth", "users", "todos"},
        }.get(caller, {"auth", "users"} - {caller})
        check(
            called == expected,
            f"{manifests.name}: {caller} may call {sorted(called)}, not {sorted(expected)}",
        )


def check_compose(manifests, compose, identities):
    services = compose["services"]
    # Two instances have names of their own there.
    place = {name: services.get(name) or services.get(f"{name}-1") for name in PROGRAMS}
    for name, deployment in manifests.of("Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        container, other = pod["containers"][0], place[name]
        where = f"{manifests.name} and compose, {name}"
        check(other, f"{where}: compose does not have it")
        if not other:
            continue
        check(container["command"] == other["command"], f"{where}: the commands differ")
        check(bool(other.get("read_only")), f"{where}: the root file system can be written there")
        check(str(other.get("cap_drop")) == "['ALL']", f"{where}: it keeps capabilities there")
        environment = manifests.environment(container)
        there = other["environment"]
        if manifests.name == "prod":
            # As with FILES=identities.
            key = name if name in services else f"{name}-1"
            there = there | identities["services"][key]["environment"]
        for setting, value in there.items():
            if setting not in OF_THE_PLACE:
                check(
                    environment.get(setting) == str(value),
                    f"{where}: {setting} is {environment.get(setting)} here and {value} there",
                )
        if manifests.name == "dev":
            mounted = {re.sub(r"-[a-z0-9]{10}$", "", secret) for secret, _ in manifests.secrets(pod)}
            keys = set()
            for secret, one in manifests.of("Secret").items():
                if re.sub(r"-[a-z0-9]{10}$", "", secret) in mounted:
                    keys |= set(one["data"])
            check(
                keys == set(other["secrets"]),
                f"{where}: the secrets are {sorted(keys)} here and {sorted(other['secrets'])} there",
            )
        # The port that its health is asked at there.
        address = other["environment"].get("HEALTH_ADDRESS", "")
        port = next(one["containerPort"] for one in container["ports"] if one["name"] in ("grpc", "http"))
        check(
            address.endswith(f":{port}"),
            f"{where}: the health is asked at {address} there, and the port is {port}",
        )
    for name, stateful in manifests.of("StatefulSet").items():
        image = stateful["spec"]["template"]["spec"]["containers"][0]["image"]
        check(
            image == services[name]["image"],
            f"{manifests.name} and compose, {name}: the image is {image} and {services[name]['image']}",
        )
    for name, job in manifests.of("Job").items():
        check(
            services[name]["command"] == job["spec"]["template"]["spec"]["containers"][0]["command"],
            f"compose, {name}: the commands differ",
        )
    for copy, original in (
        ("databases.sh", "postgres/databases.sh"),
        ("limits.conf", "rabbitmq/limits.conf"),
    ):
        check(
            read(f"k8s/overlays/dev/{copy}") == read(f"deploy/{original}"),
            f"k8s/overlays/dev/{copy} differs from deploy/{original}",
        )


def main():
    settings, names = known_settings(), contracts()
    compose = (
        yaml.safe_load(read("deploy/compose.yaml")) if os.path.exists(f"{root}/deploy/compose.yaml") else None
    )
    for overlay in ("dev", "prod"):
        manifests = Manifests(overlay, f"{sys.argv[1]}/{overlay}.yaml")
        deployments = manifests.of("Deployment")
        check(set(deployments) == set(PROGRAMS), f"{overlay}: the Deployments are {sorted(deployments)}")
        for name, deployment in deployments.items():
            where, spec = f"{overlay}, {name}", deployment["spec"]
            pod = spec["template"]["spec"]
            check(
                spec["strategy"]
                == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                f"{where}: another strategy",
            )
            check("replicas" not in spec, f"{where}: replicas are set, and a HorizontalPodAutoscaler too")
            check(len(pod["topologySpreadConstraints"]) == 2, f"{where}: its instances may be in one place")
            check(pod["containers"][0]["command"] == [PROGRAMS[name]], f"{where}: it runs another program")
            for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget", "ServiceAccount"):
                check(name in manifests.of(kind), f"{where}: it has no {kind}")
            check_pod(where, manifests, pod, settings)
            check_probes(where, manifests, name, pod["containers"][0], names)
            check_stop(where, manifests, name, pod)
            check_identity(where, manifests, name, pod)
            waits = [one["command"] for one in pod.get("initContainers", [])]
            store = PROGRAMS[name]
            check(
                waits == ([] if name == "gateway" else [["quartet", "migrate", "up", "--service", store]]),
                f"{where}: it does not wait for the migrations of {store}",
            )
            if waits:
                check(f"migrate-{store}" in manifests.of("Job"), f"{where}: no Job migrates its store")
        for name, job in manifests.of("Job").items():
            check_pod(f"{overlay}, {name}", manifests, job["spec"]["template"]["spec"], settings)
        for name, job in manifests.of("CronJob").items():
            check_pod(
                f"{overlay}, {name}",
                manifests,
                job["spec"]["jobTemplate"]["spec"]["template"]["spec"],
                settings,
            )
            check(job["spec"]["suspend"] is True, f"{overlay}, {name}: it runs by itself")
        for name, service in manifests.of("Service").items():
            headless = service["spec"].get("clusterIP") == "None"
            check(
                headless == (name != "gateway"),
                f"{overlay}, Service {name}: calls are not balanced by their callers",
            )
            owner = deployments.get(name) or manifests.of("StatefulSet").get(name)
            ports = {one["name"] for one in owner["spec"]["template"]["spec"]["containers"][0]["ports"]}
            for port in service["spec"]["ports"]:
                check(
                    port["targetPort"] in ports,
                    f"{overlay}, Service {name}: nobody serves {port['targetPort']}",
                )
        for target in ("AUTH", "USERS", "TODOS", "JOBS"):
            environment = manifests.environment(
                deployments["gateway"]["spec"]["template"]["spec"]["containers"][0]
            )
            host, port = re.fullmatch(r"https?://([\w-]+):(\d+)", environment[f"{target}_URL"]).groups()
            served = [one["port"] for one in manifests.of("Service")[host]["spec"]["ports"]]
            check(int(port) in served, f"{overlay}: {target}_URL leads nowhere")
        check_policies(manifests)
        if compose:
            identities = yaml.safe_load(read("deploy/compose.identities.yaml"))
            check_compose(manifests, compose, identities)
    for line in failures:
        print(line)
    if not compose:
        print("ignored: the comparison with compose, since deploy/compose.yaml is not there")
    print(f"manifests: {checked} checks, {len(failures)} failed")
    sys.exit(bool(failures))


main()
