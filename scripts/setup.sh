#!/usr/bin/env bash
# Installs what Switchyard needs on Debian 12. The only list of packages in the project.
#   scripts/setup.sh            what building and testing need
#   scripts/setup.sh --demo     also the text that the demo trains on (King James Bible)
#   scripts/setup.sh --dev      also the tools of a developer (clang-format, clang-tidy, debootstrap)
# Safe to run again: installed packages are left alone, and nothing is asked of the network when all are there.
set -euo pipefail

packages=(
  # tools
  cmake ninja-build g++ pkg-config git ca-certificates ccache clang libclang-rt-14-dev python3
  # libraries of the runtime
  libfmt-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev liburing-dev libutf8proc-dev libpcre2-dev
  libxxhash-dev liblzma-dev zlib1g-dev
  # training
  libtorch-dev libopenblas-dev libdnnl-dev
  # tests and benchmarks
  libgtest-dev libgmock-dev libbenchmark-dev
)
demo_packages=(bible-kjv bible-kjv-text)
developer_packages=(clang-format clang-tidy debootstrap librsvg2-bin)
case "${1:-}" in
  "") ;;
  --demo) packages+=("${demo_packages[@]}") ;;
  --dev) packages+=("${developer_packages[@]}") ;;
  *) echo "setup: unknown argument '$1'; usage: scripts/setup.sh [--demo|--dev]" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: all ${#packages[@]} packages are installed"
  exit 0
fi

command -v apt-get >/dev/null || {
  echo "setup: this is not a Debian system (no apt-get); install by hand: ${missing[*]}" >&2
  exit 1
}
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "setup: run this as root, or install sudo; it must install: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "setup: installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q || { echo "setup: apt-get update failed; check the network and /etc/apt" >&2; exit 1; }
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" || {
  echo "setup: apt-get could not install: ${missing[*]}" >&2
  exit 1
}
