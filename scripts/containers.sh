#!/usr/bin/env bash
# Checks the files of the image and of its composition, without an engine: hadolint on the
# Dockerfile, that every setting exists and nothing but nginx is published, and that there is no
# password.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit
. scripts/needs.sh
. scripts/tools.sh
tools_ready

status=0
step "hadolint"
hadolint deploy/docker/Dockerfile || status=1
step "compose"
python3 scripts/check_compose.py || status=1
exit $status
