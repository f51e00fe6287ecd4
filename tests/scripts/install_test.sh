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
stand_in apt-cache "grep -qx \"\$2\" '$scratch/unknown' || echo '  Candidate: 1.2-3'"
for program in g++ cmake ninja curl; do stand_in $program ''; done
for program in bash env grep; do ln -s "$(command -v $program)" bin/; done

failures=0
expect_calls() {  # a description, then the expected calls of apt-get, then the script's options
  : >calls
  if ! PATH=$scratch/bin "$script" "${@:3}" 2>/dev/null || [[ $(<calls) != "$2" ]]; then
    echo "FAILED: $1: expected '$2', got '$(<calls)'"
    failures=$((failures + 1))
  fi
}

: >absent
: >unknown
expect_calls "nothing is missing" ""
expect_calls "nothing is missing, with the browser" "" --browser

printf '%s\n' chromium chromium-driver chromium-sandbox python3-selenium >absent
expect_calls "nobody asked for a browser" ""
expect_calls "a browser that is missing" $'update\ninstall --yes --no-install-recommends chromium chromium-driver chromium-sandbox python3-selenium' --browser
echo chromium >unknown
expect_calls "a browser that the distribution does not have" "" --browser
echo catch2 >>absent
expect_calls "a package, but no browser" $'update\ninstall --yes --no-install-recommends catch2' --browser
: >unknown

printf '%s\n' g++ libeigen3-dev catch2 >absent
expect_calls "a program that is in PATH needs no package" $'update\ninstall --yes --no-install-recommends libeigen3-dev catch2'

rm bin/ninja
: >absent
expect_calls "a package that is installed is not asked for" ""
echo ninja-build >absent
expect_calls "a program that is missing" $'update\ninstall --yes --no-install-recommends ninja-build'

if PATH=$scratch/bin "$script" --brwoser 2>/dev/null; then
  echo "FAILED: an unknown option must fail the script"
  failures=$((failures + 1))
fi

stand_in apt-get 'exit 100'
if PATH=$scratch/bin "$script" 2>/dev/null; then
  echo "FAILED: a failed apt-get must fail the script"
  failures=$((failures + 1))
fi

cd /
rm -rf "$scratch"
exit $((failures > 0))
