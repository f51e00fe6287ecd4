#!/usr/bin/env bash
# Tests scripts/install_dependencies.sh with stand-ins for dpkg-query, apt-get and sudo: it asks for what is missing, only.
#
#   install_test.sh SCRATCH_DIR
set -euo pipefail

script=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/scripts/install_dependencies.sh
scratch=${1:?expected a scratch folder}/install
rm -rf "$scratch"
mkdir -p "$scratch/bin"
cd "$scratch"

stand_in() { printf '#!/bin/sh\n%s\n' "$2" >"bin/$1" && chmod +x "bin/$1"; }
stand_in sudo 'exec "$@"'
stand_in apt-get "echo \"\$*\" >>'$scratch/calls'"
# Answers as for an installed package, unless the file `absent` lists it.
stand_in dpkg-query "for package; do :; done; if grep -qx \"\$package\" '$scratch/absent'; then exit 1; fi; printf installed"
for program in g++ cmake ninja curl; do stand_in $program ''; done
for program in bash env grep; do ln -s "$(command -v $program)" bin/; done

failures=0
expect_calls() {  # a description, then the expected calls of apt-get
  : >calls
  if ! PATH=$scratch/bin "$script" 2>/dev/null || [[ $(<calls) != "$2" ]]; then
    echo "FAILED: $1: expected '$2', got '$(<calls)'"
    failures=$((failures + 1))
  fi
}

: >absent
expect_calls "nothing is missing" ""

printf '%s\n' g++ libeigen3-dev catch2 >absent
expect_calls "a program that is in PATH needs no package" $'update\ninstall --yes --no-install-recommends libeigen3-dev catch2'

rm bin/ninja
: >absent
expect_calls "a package that is installed is not asked for" ""
echo ninja-build >absent
expect_calls "a program that is missing" $'update\ninstall --yes --no-install-recommends ninja-build'

stand_in apt-get 'exit 100'
if PATH=$scratch/bin "$script" 2>/dev/null; then
  echo "FAILED: a failed apt-get must fail the script"
  failures=$((failures + 1))
fi

cd /
rm -rf "$scratch"
exit $((failures > 0))
