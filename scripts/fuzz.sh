#!/usr/bin/env bash
# Builds the fuzz targets (preset fuzz, clang) and runs each of them, two at a time.
#   scripts/fuzz.sh [seconds] [name...]    60 seconds for each target; all targets
# The corpus grows under build/fuzz/corpus, so a later run starts where this one ended. What crashes a target is kept in
# build/fuzz/crashes/<name>/; run build/fuzz/tests/hostile/fuzz_<name> FILE to see it again.
# Prints one line a target; exit code 1 if one crashed, ran out of time or of memory.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  -h | --help)
    sed -n '2,6s/^# \?//p' "$0"
    exit 0
    ;;
esac
seconds=${1:-60}
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: '$seconds' is no number of seconds; usage: scripts/fuzz.sh [seconds] [name...]" >&2; exit 2; }
[ $# -gt 0 ] && shift

build=build/fuzz
if [ ! -f "$build/build.ninja" ]; then
  cmake --preset fuzz >"$build.log" 2>&1 || { cat "$build.log" >&2; exit 1; }
fi
cmake --build --preset fuzz --target fuzzers -j "${JOBS:-$(nproc)}"
targets=("$build"/tests/hostile/fuzz_*)
if [ $# -gt 0 ]; then
  targets=()
  for name in "$@"; do
    [ -x "$build/tests/hostile/fuzz_$name" ] || { echo "fuzz: no target $name" >&2; exit 2; }
    targets+=("$build/tests/hostile/fuzz_$name")
  done
fi

"$build/tests/hostile/make_corpus" "$build/seeds"
rm -f "$build"/fuzz_*.result

# Runs one target and writes its line to $build/fuzz_<name>.result, "FAILED" first if it crashed.
run() {
  local target=$1 name=${1##*/fuzz_}
  local corpus=$build/corpus/$name crashes=$build/crashes/$name log=$build/fuzz_$name.log
  mkdir -p "$corpus" "$crashes"
  local status=ok
  "$target" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$crashes/" "$corpus" "$build/seeds/$name" >"$log" 2>&1 || status=FAILED
  local runs features
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  features=$(grep -o 'ft: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)
  printf '%-6s %-20s %4s s %10s runs %7s features %5s inputs%s\n' "$status" "$name" "$seconds" "${runs:-?}" "${features:-?}" \
    "$(find "$corpus" -type f | wc -l)" "$([ "$status" = ok ] || echo "; see $log and $crashes")" >"$build/fuzz_$name.result"
  cat "$build/fuzz_$name.result"
}

for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
  run "$target" &
done
wait

failed=$(cat "$build"/fuzz_*.result | grep -c '^FAILED' || true)
echo "fuzz: ${#targets[@]} targets, $failed failed"
[ "$failed" -eq 0 ]
