#!/usr/bin/env bash
# Checks formatting and runs clang-tidy over the sources that need no libtorch (or over the files given).
#   scripts/lint.sh            all of them but tests, takes some minutes
#   scripts/lint.sh FILE...    only these
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --dev
mapfile -t formatted < <(git ls-files '*.h' '*.cc')
clang-format --dry-run --Werror "${formatted[@]}"
echo "lint: ${#formatted[@]} files are formatted"

# A configuration of its own: clang's options, no precompiled header of GCC's, and every file that there is now.
cmake --preset no-torch -B build/lint -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >/dev/null
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(python3 - <<'EOF'
import json, os
for entry in json.load(open("build/lint/compile_commands.json")):
    path = os.path.relpath(entry["file"])
    if path.startswith("src/") and not path.endswith("_test.cc"):
        print(path)
EOF
  )
fi
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p build/lint --quiet 2>&1 | sed '/ warnings\? generated\.$/d'
echo "lint: clang-tidy found nothing in ${#files[@]} files"
