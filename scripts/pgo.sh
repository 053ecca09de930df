#!/usr/bin/env bash
# Builds every program by a profile of itself ("profile-guided optimisation"): once so that it counts what it
# does, then by what it has counted under the load of `make bench`. The programs come into
# target/pgo/<host>/release; PGO_SECONDS (2) is how long each row of the load lasts.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/needs.sh

has cargo || die "there is no cargo: install Rust from https://rustup.rs"
need cc gcc libc6-dev
host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
if [ ! -x "$profdata" ]; then
    has rustup || die "$profdata is missing: it is the component llvm-tools of this Rust"
    rustup component add llvm-tools
fi
target=${CARGO_TARGET_DIR:-$root/target}/pgo
mkdir -p "$target"
# The programs write their counts from whatever folder they run in.
target=$(cd "$target" && pwd)
programs=$target/$host/release
counts=$target/counts

# Builds with the flag $1 of rustc. With a target of its own, for build scripts must not count.
build() {
    RUSTFLAGS=$1 CARGO_TARGET_DIR=$target cargo build --workspace --bins --release --target "$host" "${@:2}"
}

rm -rf "$counts" "$target"/*.profdata
step "building programs that count"
# With the profile of release as it is, LTO included: a function's name has the settings of its crate in
# it, and a program of other settings finds no counts.
build "-Cprofile-generate=$counts" --example bench-peers
BENCH_SECONDS=${PGO_SECONDS:-2} PROGRAMS=$programs scripts/bench.sh quick
step "building by what they have counted"
"$profdata" merge --output "$counts/merged" "$counts"/*.profraw
# Its name is a part of the flags, so that cargo builds anew when the counts are others.
profile=$target/$(sha256sum "$counts/merged" | cut -c 1-16).profdata
mv "$counts/merged" "$profile"
build "-Cprofile-use=$profile"
step "$programs"
