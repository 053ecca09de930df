#!/usr/bin/env bash
# Builds the images of deploy/docker/Dockerfile.
#
#   scripts/images.sh compile          compiles the programs in the image
#   scripts/images.sh FOLDER [TESTS]   takes the programs of FOLDER, such as target/release; with
#                                      TESTS, the program of the end-to-end tests, its image too
#
# QUARTET_IMAGE and QUARTET_TESTS_IMAGE name the images: quartet:latest and quartet-tests:latest.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/scripts/needs.sh"

from=${1-} tests=${2-}
[ -n "$from" ] || die "usage: scripts/images.sh compile | FOLDER [TESTS]"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
commit=${QUARTET_COMMIT:-$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null || true)}

# Only what the image needs is built, which needs BuildKit.
build() {
    DOCKER_BUILDKIT=1 docker build --quiet --file "$root/deploy/docker/Dockerfile" \
        --build-arg VERSION="$version" --build-arg COMMIT="$commit" "$@" "$root" >/dev/null
}

image=${QUARTET_IMAGE:-quartet:latest}
if [ "$from" = compile ]; then
    build --target suite --tag "$image"
    build --target shell --tag "$image-shell"
else
    # Into the context, without symbols: those of a debug build are most of it.
    staged=$root/target/image
    rm -rf "$staged"
    mkdir -p "$staged"
    strip -s -o "$staged/quartet" "$from/quartet"
    build --build-arg BINARIES=ready --target suite --tag "$image"
    build --build-arg BINARIES=ready --target shell --tag "$image-shell"
    if [ -n "$tests" ]; then
        strip -s -o "$staged/e2e" "$tests"
        build --build-arg BINARIES=ready --target tests --tag "${QUARTET_TESTS_IMAGE:-quartet-tests:latest}"
    fi
    rm -rf "$staged"
fi
docker image inspect --format '{{index .RepoTags 0}} {{.Size}} bytes' "$image"
