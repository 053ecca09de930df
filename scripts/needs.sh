# shellcheck shell=bash
# Sourced. Installs what the tests need on Debian or Ubuntu, from the system's packages.

# Prints the title of a step, apart from the output of its commands.
step() { printf '\n==> %s\n' "$*"; }

# Prints an error and exits.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Whether the command $1 is installed.
has() { command -v "$1" >/dev/null 2>&1; }

# Runs "$@" as root: directly or through sudo, without a prompt where that is possible.
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
    step "installing $*"
    if [ -z "${apt_is_fresh-}" ]; then
        as_root apt-get update -qq || die "cannot install $*: run this as root, or with sudo, or install them first"
        apt_is_fresh=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        die "apt-get could not install $*"
}

# Installs the packages "${@:2}" unless the command $1 is installed.
need() {
    has "$1" || install_packages "${@:2}"
}
