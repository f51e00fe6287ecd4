#!/usr/bin/env bash
# Builds everything (preset release, warnings are errors) and runs all tests on all cores.
#
#   scripts/test.sh [options of ctest, such as -R core]
#
# Where the environment variable NORMNET_DATA names the folder of CIFAR-10, its images are tested, too.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc)

if [[ -n ${NORMNET_DATA:-} ]]; then
  NORMNET_DATA=$(realpath "$NORMNET_DATA")  # the tests run in folders of their own
  export NORMNET_DATA
else
  unset NORMNET_DATA
fi

"$root/scripts/install_dependencies.sh" --browser
cmake -S "$root" --preset release -DNORMNET_WERROR=ON
cmake --build "$root/build/release" --parallel "$jobs"
ctest --test-dir "$root/build/release" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
