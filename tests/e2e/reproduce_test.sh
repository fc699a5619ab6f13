#!/usr/bin/env bash
# Runs `switchyard reproduce --quick` on every experiment of papers/, two at a time, and looks at what it leaves behind.
# usage: reproduce_test.sh SWITCHYARD_BINARY SOURCE_DIRECTORY
set -euo pipefail
binary=$(realpath "$1") source=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export binary source work

run_one() {
  slug=$1
  cd "$source"
  begin=$SECONDS
  if ! timeout 200 "$binary" reproduce "$slug" --quick --threads 1 --out "$work/$slug" >"$work/$slug.log" 2>&1 </dev/null; then
    echo "reproduce_test: $slug failed:"
    tail -n 20 "$work/$slug.log"
    return 1
  fi
  python3 - "$work/$slug" <<'PYTHON'
import json, math, os, sys
home = sys.argv[1]
results = json.load(open(home + "/results.json"))
assert results["quick"] and results["runs"] and results["claims"], "results are not whole"
for run in results["runs"]:
    result = run["result"]
    assert result["finished"] and math.isfinite(result["valid_loss"]), run["arm"]
    assert os.path.exists(f"{home}/{run['arm']}-seed{run['seed']}/model/config.json"), run["arm"]
for name in results["figures"] + results.get("analysis", {}).get("figures", []):
    assert open(f"{home}/{name}").read(200).lstrip().startswith("<"), name
PYTHON
  echo "reproduce_test: $slug: $((SECONDS - begin)) s"
}
export -f run_one

slugs=$(cd "$source/papers" && ls -d */ | tr -d /)
for slug in $slugs; do
  [ ! -f "$source/papers/$slug/experiment.toml" ] || echo "$slug"
done >"$work/slugs"
[ -s "$work/slugs" ] || { echo "reproduce_test: there are no experiments"; exit 1; }
xargs -a "$work/slugs" -P 2 -I '{}' bash -c 'run_one {}'
