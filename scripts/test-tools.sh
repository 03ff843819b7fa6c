#!/usr/bin/env bash
# Sees to the programs the tests talk to: syslog daemons, a queue, a mail server, a browser, a file system to pull the plug on.
#
# Installs what is missing with apt as root on Debian, and servers and clients of Python and JavaScript into .test-tools/ (not in
# git). Clients that only some systems have are installed where they can be: without them their stories say so and pass.
# Without root it names what is missing and stops. Says what it does; says nothing when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="/usr/sbin:/sbin:$PATH"

say() { echo "test-tools: $*"; }

# Daemons are only started by the tests, as their own children: no service may start here.
start_no_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
}

# program:package
wanted=(
    chromium:chromium rsyslogd:rsyslog logger:bsdutils openssl:openssl python3:python3
    nats-server:nats-server prometheus-alertmanager:prometheus-alertmanager mkfs.ext4:e2fsprogs mount:mount losetup:mount cc:gcc node:nodejs npm:npm git:git
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
    start_no_services
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

stamp=.test-tools/node/package-lock.json
if ! cmp -s scripts/test-clients/package-lock.json "$stamp"; then
    say "installing into .test-tools/node what scripts/test-clients names"
    rm -rf .test-tools/node
    mkdir -p .test-tools/node
    cp scripts/test-clients/package.json scripts/test-clients/.npmrc .test-tools/node
    cp scripts/test-clients/package-lock.json .test-tools/node/lock.json
    (cd .test-tools/node && mv lock.json package-lock.json && npm install --silent)
    cp scripts/test-clients/package-lock.json "$stamp"
fi

# Shippers of Debian: nice to have, never waited for twice.
shippers=(rsyslog-relp rsyslog-elasticsearch rsyslog-openssl systemd-journal-remote liblog4j2-java liblogback-java
    libjackson2-databind-java openjdk-17-jdk-headless php-cli php-monolog ruby-gelf)
stamp=.test-tools/shippers
if [ ! -e "$stamp" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing shippers: ${shippers[*]} syslog-ng-core"
    export DEBIAN_FRONTEND=noninteractive
    start_no_services
    for package in "${shippers[@]}"; do
        dpkg -s "$package" >/dev/null 2>&1 && continue
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 || say "cannot install $package"
    done
    # It cannot stand beside rsyslog, so it is only unpacked, with the libraries it asks for.
    apt-get install -y -qq --no-install-recommends libivykis0 libnet1 libwrap0 libpcre3 libcurl4 >/dev/null 2>&1 || true
    mkdir -p .test-tools/syslog-ng
    (
        cd .test-tools/syslog-ng
        apt-get download -qq syslog-ng-core syslog-ng-mod-http
        for archive in *.deb; do dpkg -x "$archive" . && rm "$archive"; done
    ) >/dev/null 2>&1 || say "cannot unpack syslog-ng-core"
    touch "$stamp"
fi
