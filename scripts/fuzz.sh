#!/usr/bin/env bash
# Fuzzes every parser: each target of fuzz/ for a minute, or SECONDS_EACH; with names as arguments those alone.
#
# Needs a C++ compiler and no nightly toolchain: coverage is put in by the stable compiler's own pass. Inputs that reached
# something new stay in fuzz/corpus, what broke a target in fuzz/artifacts; neither is in git. Runs as many targets at once
# as JOBS says. Ends with 1 when a target found something, and names it.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

seconds=${SECONDS_EACH:-60}
jobs=${JOBS:-$(nproc)}
host=$(rustc -vV | sed -n 's/^host: //p')
coverage=(
    --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
RUSTFLAGS="${coverage[*]}" cargo build --quiet --release --target "$host"
if [ "$#" = 0 ]; then
    set -- $(basename --suffix .rs fuzz_targets/*.rs)
fi

try() {
    mkdir -p "artifacts/$1" "corpus/$1"
    log="artifacts/$1/log"
    if "$CARGO_TARGET_DIR/$2/release/$1" "corpus/$1" -max_total_time="$3" -max_len=65536 -timeout=10 \
        -rss_limit_mb=2048 -artifact_prefix="artifacts/$1/" -print_final_stats=1 -verbosity=1 >"$log" 2>&1; then
        echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, nothing found"
    else
        echo "$1: FOUND something, see fuzz/$log"
        exit 1
    fi
}
export -f try
found=0
printf '%s\n' "$@" | xargs -P "$jobs" -I{} bash -c "try {} $host $seconds" || found=1
exit "$found"
