#!/usr/bin/env bash
# Installs into a temporary prefix, builds examples/embed against the installed package, and runs it.
# usage: install_test.sh BUILD_DIRECTORY SOURCE_DIRECTORY MAKE_TINY_MODEL
set -euo pipefail
build=$1 source=$2 make_tiny_model=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
cmake -S "$source/examples/embed" -B "$work/embed" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/configure.log" || { cat "$work/configure.log"; exit 1; }
cmake --build "$work/embed" >"$work/build.log" || { cat "$work/build.log"; exit 1; }

"$make_tiny_model" "$work/model"
all=$("$work/embed/embed" "$work/model" "Once upon")
little=$("$work/embed/embed" "$work/model" "Once upon" $((40 << 20)))
echo "$all"
[ "$(head -n -1 <<<"$all")" = "$(head -n -1 <<<"$little")" ] || { echo "another text under a budget: $little"; exit 1; }
grep -q "64 tokens" <<<"$all" || { echo "expected 64 tokens"; exit 1; }
"$work/prefix/bin/switchyard" --version
"$work/prefix/bin/switchyard" run "$work/model" -p "Once" -n 3 --temp 0 -q >/dev/null
if "$work/embed/embed" "$work/nowhere" "x" 2>"$work/error"; then echo "a missing model must fail"; exit 1; fi
grep -q nowhere "$work/error"
echo "install_test: passed"
