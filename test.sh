#!/usr/bin/env bash
# Sets up, builds and runs every test.
#   ./test.sh                everything: release suite, sanitizers, fuzz targets
#   ./test.sh --quick        the release suite only
# Environment: FUZZ_SECONDS (30) seconds a fuzz target, JOBS (all cores) parallel compiles.
set -euo pipefail
cd "$(dirname "$0")"

quick=no
case "${1:-}" in
  "") ;;
  --quick) quick=yes ;;
  *) echo "test.sh: unknown argument '$1'; usage: ./test.sh [--quick]" >&2; exit 2 ;;
esac
jobs=${JOBS:-$(nproc)}
started=$(date +%s)
passed=0
failed=()

say() { printf '\n== %s (after %d s)\n' "$1" $(($(date +%s) - started)); }

# build_and_test PRESET [cmake arguments]: a preset's build and its suite. Goes on after a failure, to show all of them.
build_and_test() {
  local preset=$1
  shift
  say "build: preset $preset"
  cmake --preset "$preset" "$@" >"build/$preset.configure.log" 2>&1 || { tail -20 "build/$preset.configure.log"; failed+=("$preset: configure"); return; }
  cmake --build --preset "$preset" -j "$jobs" || { failed+=("$preset: build"); return; }
  say "test: preset $preset"
  if ctest --preset "$preset" --output-junit "$PWD/build/$preset.tests.xml"; then
    passed=$((passed + $(grep -c '<testcase ' "build/$preset.tests.xml")))
  else
    failed+=("$preset: tests")
  fi
}

say "set-up"
scripts/setup.sh
mkdir -p build

build_and_test release
if [ "$quick" = no ]; then
  # libtorch is not built with sanitizers, so they look at everything that runs without it.
  build_and_test asan -DSWITCHYARD_TORCH=OFF
  build_and_test tsan -DSWITCHYARD_TORCH=OFF
  say "fuzz: ${FUZZ_SECONDS:-30} s a target"
  if scripts/fuzz.sh "${FUZZ_SECONDS:-30}"; then passed=$((passed + 1)); else failed+=("fuzz"); fi
fi

say "done"
for f in "${failed[@]}"; do echo "failed: $f"; done
echo "$passed passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ]
