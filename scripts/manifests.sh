#!/usr/bin/env bash
# Checks k8s/: renders the overlays and the components, validates them against the oldest and the
# newest schema of Kubernetes that is promised, checks their hardening, and compares them with the
# contracts, .env.example and compose.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/needs.sh
. scripts/tools.sh

# Kubernetes 1.30 is the first with `preStop: sleep`.
versions=(1.30 1.37)
# Kinds of operators, which no schema of Kubernetes has.
foreign='PodMonitor|Gateway|HTTPRoute'

manifests_tools_ready
rendered=$(mktemp -d "${TMPDIR:-/tmp}/quartet-manifests.XXXXXX")
trap 'rm -rf "$rendered"' EXIT

step "rendering"
for overlay in dev prod; do
    kubectl kustomize "k8s/overlays/$overlay" >"$rendered/$overlay.yaml"
done
# What prod does not take.
mkdir "$rendered/gateway-api"
cat >"$rendered/gateway-api/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: quartet
resources: [$(realpath --relative-to="$rendered/gateway-api" k8s/base)]
components:
  - $(realpath --relative-to="$rendered/gateway-api" k8s/components/gateway-api)
  - $(realpath --relative-to="$rendered/gateway-api" k8s/components/error-reports)
YAML
kubectl kustomize "$rendered/gateway-api" >"$rendered/gateway-api.yaml"
grep -c '^kind:' "$rendered"/*.yaml | sed "s|$rendered/||; s|:|: |; s|$| objects|"

for version in "${versions[@]}"; do
    step "the schema of Kubernetes $version"
    for file in "$rendered"/*.yaml; do
        # Exits 0 over a kind that it does not know, with a warning.
        output=$(kubernetes-validate --strict --kubernetes-version "$version" "$file" 2>&1) || {
            grep -v passed <<<"$output"
            die "$(basename "$file") is not valid"
        }
        ! grep WARN <<<"$output" | grep -vE "kind ($foreign) " || die "$(basename "$file") has a kind without a schema"
        echo "$(basename "$file"): $(grep -c passed <<<"$output") valid"
    done
done

step "hardening"
# The Gateway API brings no pods.
for file in "$rendered"/{dev,prod}.yaml; do
    echo "$(basename "$file"):"
    checkov --config-file k8s/checkov.yaml --file "$file" || die "$(basename "$file") is not hardened"
done

step "contracts, settings and compose"
python3 tests/tools/manifests.py "$rendered"
