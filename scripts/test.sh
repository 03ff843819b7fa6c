#!/usr/bin/env bash
# Runs every test of the workspace: through cargo-nextest where it is installed, else through cargo.
#
# The tests need what scripts/test-tools.sh provides; the tests that need root (loop mounts) say so and pass when there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.test-tools/python/bin:/usr/sbin:/sbin:$PATH"

if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast
else
    echo "test.sh: cargo-nextest is not installed, taking cargo test"
    cargo test --workspace --locked --no-fail-fast --lib --bins --tests
fi
