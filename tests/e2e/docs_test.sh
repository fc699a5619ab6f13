#!/usr/bin/env bash
# Runs every command shown in a ```sh block of the README and of docs/, so that no page shows one that does not work.
# usage: docs_test.sh SWITCHYARD_BINARY SOURCE_DIRECTORY [--no-training]
set -euo pipefail
binary=$(realpath "$1") source=$(realpath "$2") training=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ln -s "$source/models" "$source/recipes" "$work/"
export PATH="$(dirname "$binary"):$PATH"

count=0
while IFS= read -r page; do
  # A page's commands run in order, in a directory of its own, as a reader would type them.
  mkdir -p "$work/run"
  cd "$work/run"
  ln -sfn "$work/models" models
  ln -sfn "$work/recipes" recipes
  untrained=  # what commands left out here would have written
  while IFS= read -r command; do
    case "$command" in
      "" | "#"*) continue ;;
      "switchyard train"* | "switchyard reproduce"*)
        if [ "$training" = --no-training ]; then
          [[ $command =~ --out\ ([^ ]+) ]] && untrained+=" ${BASH_REMATCH[1]}"
          continue
        fi ;;
    esac
    for directory in $untrained; do
      [[ $command != *" $directory/"* ]] || continue 2
    done
    echo "docs_test: ${page#"$source"/}: $command"
    timeout 300 bash -c "$command" >"$work/log" 2>&1 </dev/null || {
      echo "docs_test: this command of ${page#"$source"/} failed: $command"
      cat "$work/log"
      exit 1
    }
    count=$((count + 1))
  done < <(awk '/^```sh$/ {inside = 1; next} /^```/ {inside = 0} inside' "$page" | sed -e ':a' -e '/\\$/{N;s/\\\n *//;ba}')
  cd "$work"
  rm -rf "$work/run"
done < <(find "$source/README.md" "$source/docs" "$source/models" "$source/papers" -name '*.md' | sort)
[ "$count" -ge 10 ] || { echo "docs_test: found only $count commands; has the form of the blocks changed?"; exit 1; }
echo "docs_test: $count commands ran"
