#!/usr/bin/env bash
# Tests scripts/experiments.sh with stand-ins for CMake, the download and the program: which data the program is given, and when.
#
#   experiments_test.sh SCRATCH_DIR
set -euo pipefail

script=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/scripts/experiments.sh
scratch=${1:?expected a scratch folder}/experiments
rm -rf "$scratch"
mkdir -p "$scratch"/{bin,scripts,build/release/examples}
cp "$script" "$scratch/scripts/"
cd "$scratch"

stand_in() { printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1"; }
stand_in bin/cmake 'echo "$*" >>cmake_calls'
stand_in scripts/install_dependencies.sh ''
stand_in build/release/examples/cifar10_norms 'echo "$*"; exit ${EXIT_CODE:-0}'
downloads() { stand_in scripts/download_cifar10.sh 'echo asked >>downloads; echo /downloaded'; }
downloads_fail() { stand_in scripts/download_cifar10.sh 'echo asked >>downloads; exit 1'; }
export PATH=$scratch/bin:$PATH
unset NORMNET_DATA

failures=0
expect() {  # a description, the expected options of the program, the expected downloads, then the options of the script
  local what=$1 options=$2 asked=$3 got
  shift 3
  : >downloads
  got=$(scripts/experiments.sh "$@" 2>stderr) || got="error $?"
  if [[ $got != "$options" || $(wc -l <downloads) -ne $asked ]]; then
    echo "FAILED: $what: expected '$options' after $asked downloads, got '$got' after $(wc -l <downloads)"
    failures=$((failures + 1))
  fi
}

downloads
expect "downloads the data" "--data /downloaded --epochs 2" 1 --epochs 2
expect "the user's folder" "--data here" 0 --data here
expect "the user's folder, in one word" "--data=here" 0 --data=here
expect "synthetic on demand" "--synthetic --epochs 1" 0 --synthetic --epochs 1
expect "help needs no data" "--help" 0 --help
NORMNET_DATA="/my data" expect "NORMNET_DATA" "--data /my data --epochs 2" 0 --epochs 2
EXIT_CODE=3 expect "passes the program's failure on" "error 3" 1

if grep --quiet -e '-D' cmake_calls; then
  echo "FAILED: the options of the build that test.sh shares must stay as they are, got '$(<cmake_calls)'"
  failures=$((failures + 1))
fi

downloads_fail
expect "falls back to synthetic images" "--synthetic --epochs 2" 1 --epochs 2
grep --quiet SYNTHETIC stderr || { echo "FAILED: the fallback must be announced"; failures=$((failures + 1)); }

cd /
rm -rf "$scratch"
exit $((failures > 0))
