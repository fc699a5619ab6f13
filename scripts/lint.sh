#!/usr/bin/env bash
# Checks formatting and runs clang-tidy over the sources that need no libtorch (or over the files given).
#   scripts/lint.sh            all of them, takes some minutes
#   scripts/lint.sh FILE...    only these
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --dev
mapfile -t formatted < <(git ls-files '*.h' '*.cc')
clang-format --dry-run --Werror "${formatted[@]}"
echo "lint: ${#formatted[@]} files are formatted"

[ -f build/no-torch/compile_commands.json ] || cmake --preset no-torch >/dev/null
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(git ls-files 'src/base/*.cc' 'src/routing/*.cc' 'src/formats/*.cc' 'src/experts/*.cc' 'src/runtime/*.cc' 'src/cli/*.cc' ':!src/cli/training/*' ':!*_test.cc')
fi
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p build/no-torch --quiet
echo "lint: clang-tidy found nothing in ${#files[@]} files"
