#!/usr/bin/env bash
# Sees to the programs the tests talk to: a syslog daemon, a queue, a mail server, a browser, a file system to pull the plug on.
#
# Installs what is missing with apt as root on Debian, and servers and clients of Python into .test-tools/ (not in git).
# Without root it names what is missing and stops. Says what it does; says nothing when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="/usr/sbin:/sbin:$PATH"

say() { echo "test-tools: $*"; }

# program:package
wanted=(
    chromium:chromium rsyslogd:rsyslog logger:bsdutils openssl:openssl python3:python3
    nats-server:nats-server mkfs.ext4:e2fsprogs mount:mount losetup:mount cc:gcc node:nodejs npm:npm git:git
)
missing_programs=() missing_packages=()
need() {
    missing_programs+=("$1")
    missing_packages+=("$2")
}
for entry in "${wanted[@]}"; do
    command -v "${entry%%:*}" >/dev/null 2>&1 || need "${entry%%:*}" "${entry##*:}"
done
# Debian ships the module without the part that puts pip into a new environment.
python=$(PATH="/usr/bin:$PATH" command -v python3 || true)
if [ -n "$python" ] && ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    need "python3 -m venv" python3-venv
elif [ -z "$python" ]; then
    missing_packages+=(python3-venv)
fi

if [ "${#missing_packages[@]}" -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "these programs are missing: ${missing_programs[*]}"
        say "install them (on Debian, as root: apt-get install ${missing_packages[*]}) and come again"
        exit 1
    fi
    say "installing with apt: ${missing_packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # The daemon is only started by the tests, as their own child: no service may start here.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get install -y -qq --no-install-recommends "${missing_packages[@]}" >/dev/null
    python=$(PATH="/usr/bin:$PATH" command -v python3)
fi

if ! command -v cargo >/dev/null 2>&1; then
    say "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer"
    exit 1
fi

stamp=.test-tools/python/installed
if ! cmp -s scripts/test-requirements.txt "$stamp"; then
    say "installing into .test-tools/python what scripts/test-requirements.txt names"
    rm -rf .test-tools/python
    mkdir -p .test-tools
    "$python" -m venv .test-tools/python
    .test-tools/python/bin/python -m pip install --quiet --disable-pip-version-check --requirement scripts/test-requirements.txt
    cp scripts/test-requirements.txt "$stamp"
fi
