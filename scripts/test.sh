#!/usr/bin/env bash
# Builds everything (preset release, warnings are errors) and runs all tests on all cores.
#
#   scripts/test.sh [options of ctest, such as -R core]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc)

"$root/scripts/install_dependencies.sh"
cmake -S "$root" --preset release -DNORMNET_WERROR=ON
cmake --build "$root/build/release" --parallel "$jobs"
ctest --test-dir "$root/build/release" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
