#!/usr/bin/env bash
# Tests what normnet/core/requirements.hpp refuses, and that what it asks for is enough to compile.
#
#   requirements_test.sh INCLUDE_DIR COMPILER
set -euo pipefail

include=${1:?expected the folder that holds normnet/}
compiler=${2:?expected a compiler}
failures=0

# Compiles one header under the options that follow the line $1, and prints the errors.
compile() {
  local before=$1
  shift
  printf '%s\n' "$before" '#include <normnet/core/requirements.hpp>' |
    "$compiler" -std=c++20 -fsyntax-only -x c++ -I "$include" "$@" - 2>&1
}
refuses() {  # part of the message, a line that comes first, then options
  local message=$1 output
  shift
  if output=$(compile "$@") || [[ $output != *"$message"* ]]; then
    echo "FAILED: expected an error with '$message' for '$*', got '$output'"
    failures=$((failures + 1))
  fi
}
accepts() {  # a line that comes first, then options
  local output
  if ! output=$(compile "$@"); then
    echo "FAILED: expected no error for '$*', got '$output'"
    failures=$((failures + 1))
  fi
}

for option in -Ofast -ffast-math -ffinite-math-only; do
  refuses "NORMNET_ALLOW_FINITE_MATH" "" "$option"
  accepts "" "$option" -DNORMNET_ALLOW_FINITE_MATH
  accepts "" "$option" -fno-finite-math-only
done
refuses "NOMINMAX" "#define min(a, b) ((a) < (b) ? (a) : (b))"
refuses "NOMINMAX" "#define max(a, b) ((a) > (b) ? (a) : (b))"
refuses "#undef both" "#define abs(x) ((x) > 0 ? (x) : -(x))"
refuses "#undef both" "#define round(x) (x)"
accepts "" -O3

exit $((failures > 0))
