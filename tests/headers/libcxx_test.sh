#!/usr/bin/env bash
# Tests that the whole library compiles with Clang and its own standard library, libc++, and that a training, a chart and a checkpoint
# work there. Skipped where there is no libc++ (Debian: clang, libc++-dev, libc++abi-dev).
#
#   libcxx_test.sh SCRATCH_DIR [include options]
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=${1:?expected a scratch folder}/libcxx
shift
if ! clang++ -std=c++20 -stdlib=libc++ -fsyntax-only -x c++ - <<<'#include <vector>' 2>/dev/null; then
  echo "skipped: clang++ is missing, or its libc++"
  exit 77
fi
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
clang++ -std=c++20 -stdlib=libc++ -O0 "$@" "$here/with_libcxx.cpp" -o program
./program
