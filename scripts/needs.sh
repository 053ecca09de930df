# shellcheck shell=bash
# Sourced. Gets what a Debian or Ubuntu machine lacks for the tests, from the system's own packages.

# Shows what is being done, apart from the output of what does it.
say() { printf '\n==> %s\n' "$*"; }

# Stops with a reason.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Whether the command $1 is here.
has() { command -v "$1" >/dev/null 2>&1; }

# Runs "$@" as root: directly, or through sudo without a question.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo && sudo -n true 2>/dev/null; then
        sudo -n -- "$@"
    elif has sudo && [ -t 0 ]; then
        sudo -- "$@"
    else
        return 126
    fi
}

# Installs the Debian packages "$@".
install_packages() {
    has apt-get || die "these packages are needed, and there is no apt-get to install them with: $*"
    say "installing $*"
    if [ -z "${apt_is_fresh-}" ]; then
        as_root apt-get update -qq || die "cannot install $*: run this as root, or with sudo, or install them first"
        apt_is_fresh=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "apt-get could not install $*"
}

# Installs the packages "${@:2}" unless the command $1 is here.
need() {
    has "$1" || install_packages "${@:2}"
}
