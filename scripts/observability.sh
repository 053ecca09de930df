#!/usr/bin/env bash
# Checks what watches the suite: rules and settings of Prometheus, the tests of every alert, and that
# each query of a dashboard or an alert finds its metrics in a running suite. Takes the folder with the
# programs `quartet` and `gateway`, target/debug by default; without them the last part is left out.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/needs.sh
. scripts/tools.sh
. scripts/servers/redis.sh
programs=${1:-${CARGO_TARGET_DIR:-target}/debug}

# Installs promtool and Prometheus without starting the service of the package.
prometheus_install() {
    has promtool && has prometheus && return
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        made=yes
    fi
    install_packages prometheus
    [ -z "$made" ] || as_root rm -f "$policy"
}

prometheus_install
tools_ready

step "rules, settings and alerts of Prometheus"
promtool check rules deploy/observability/alerts/*.yaml
promtool check config deploy/observability/prometheus.yaml
promtool test rules deploy/observability/alerts/tests/*.yaml

step "the settings of the collector, and Grafana's files"
python3 - <<'PYTHON'
import glob, json, yaml
collector = yaml.safe_load(open("deploy/observability/otel-collector.yaml"))
parts = {part: set(collector[part]) for part in ("receivers", "processors", "exporters")}
for name, pipeline in collector["service"]["pipelines"].items():
    for part, declared in parts.items():
        assert set(pipeline[part]) <= declared, f"pipeline {name} uses {part} that are not declared: {pipeline[part]}"
    assert pipeline["processors"][0] == "memory_limiter", f"pipeline {name} does not begin with memory_limiter"
dashboards = [json.load(open(path)) for path in glob.glob("deploy/grafana/dashboards/*.json")]
assert len({dashboard["uid"] for dashboard in dashboards}) == len(dashboards), "two dashboards have one uid"
for path in glob.glob("deploy/grafana/provisioning/*/*.yaml"):
    assert yaml.safe_load(open(path))["apiVersion"] == 1, path
print(f"{len(dashboards)} dashboards, {len(collector['service']['pipelines'])} pipelines")
PYTHON

if [ ! -x "$programs/quartet" ] || [ ! -x "$programs/gateway" ]; then
    echo "ignored: the comparison with a running suite, which needs the programs quartet and gateway in $programs"
    exit 0
fi
step "dashboards and alerts against a running suite"
# Not the status of the server that was killed, but that of the checks.
trap 'redis_stop || true' EXIT
redis_start
python3 tests/tools/observability.py "$programs"
