#!/usr/bin/env bash
# Runs the suite, and builds and restarts it when a source changes.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/needs.sh"
cd "$root"
has watchexec || cargo install --locked watchexec-cli
exec watchexec --restart --stop-signal SIGTERM --watch proto --watch shared --watch services --watch gateway --watch deploy/suite -- cargo run "$@"
