#!/usr/bin/env bash
# Tests scripts/test.sh with stand-ins for CMake and CTest: which data the tests get, and whether warnings are errors.
#
#   test_test.sh SCRATCH_DIR
set -euo pipefail

script=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/scripts/test.sh
scratch=${1:?expected a scratch folder}/test
rm -rf "$scratch"
mkdir -p "$scratch"/{bin,scripts,data}
cp "$script" "$scratch/scripts/"
cd "$scratch"
scratch=$(pwd -P)

stand_in() { printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1"; }
stand_in bin/cmake 'echo "$*" >>cmake_calls'
stand_in bin/ctest 'echo "${NORMNET_DATA-unset}"; exit ${EXIT_CODE:-0}'
stand_in scripts/install_dependencies.sh ''
export PATH=$scratch/bin:$PATH
unset NORMNET_DATA

failures=0
expect() {  # a description, then the expected output
  local got
  got=$(scripts/test.sh) || got="error $?"
  [[ $got == "$2" ]] || { echo "FAILED: $1: expected '$2', got '$got'"; failures=$((failures + 1)); }
}

expect "no data" unset
NORMNET_DATA="" expect "an empty NORMNET_DATA" unset
NORMNET_DATA=data expect "a relative folder" "$scratch/data"
NORMNET_DATA=/ expect "an absolute folder" /
EXIT_CODE=8 expect "failed tests" "error 8"
grep --quiet -e '--preset release -DNORMNET_WERROR=ON' cmake_calls || {
  echo "FAILED: warnings must be errors, got '$(<cmake_calls)'"
  failures=$((failures + 1))
}

cd /
rm -rf "$scratch"
exit $((failures > 0))
