#!/usr/bin/env bash
# Shows Switchyard at work: a model run in less and less memory, where its tokens go, and a fresh model trained for a minute.
# Needs a Debian 12 machine and nothing else: sets up, builds, runs. Everything it writes is under out/demo.
set -euo pipefail
cd "$(dirname "$0")"

out=out/demo
model=models/tiny-stories-moe
say() { printf '\n== %s\n' "$1"; }
die() { echo "demo.sh: $1" >&2; exit 1; }

[ $# -eq 0 ] || { echo "usage: ./demo.sh" >&2; exit 2; }

say "1/5 set-up"
scripts/setup.sh --demo

say "2/5 build (the first time takes some minutes)"
mkdir -p build "$out"
cmake --preset release >build/release.configure.log 2>&1 || { tail -20 build/release.configure.log; die "configuring failed"; }
cmake --build --preset release --target switchyard switchyard_training -j "${JOBS:-$(nproc)}" || die "the build failed"
switchyard=build/release/bin/switchyard

say "3/5 the same story with all experts in memory and with less and less room for them"
rm -rf "$out/packed"
"$switchyard" convert "$model" "$out/packed" --pack
"$switchyard" run "$out/packed" -p "Once upon a time, there was a little" -n 120 --temp 0.7 --seed 7 --mem-budget 25%
echo
"$switchyard" bench "$out/packed" --prompt "Once upon a time, there was a little dog named" -p 0 -n 128 -r 3 \
  --budgets 100%,50%,25%,10%

say "4/5 where the tokens of a text go"
# The King James Bible, from a Debian package: real text, in the public domain.
bible -f -l99999 'gen1:1-rev22:21' | sed -E 's/^[^ ]+ //' >"$out/kjv.txt"
[ -s "$out/kjv.txt" ] || die "the text of the package bible-kjv is empty"
"$switchyard" inspect "$out/packed" -p "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big dog. The dog was sad because he lost his ball. Lily helped him look for it, and they became friends." \
  --html "$out/routes.html"

say "5/5 a fresh Mixture-of-Experts model, trained on real text for about a minute"
rm -rf "$out/fresh"
"$switchyard" train recipes/demo-moe.toml --set data.train="$out/kjv.txt" --out "$out/fresh"

say "done"
echo "routing of every token:  $out/routes.html"
echo "loss curve:              $(find "$out/fresh" -name '*.svg' | sort | tr '\n' ' ')"
echo "the model just trained:  $out/fresh (run it: $switchyard run $out/fresh/model -p \"In the beginning\")"
