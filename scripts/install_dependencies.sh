#!/usr/bin/env bash
# Installs what building normnet needs (Debian 12, Ubuntu 24.04 or newer). Where nothing is missing, it needs neither sudo nor
# a network, and changes nothing.
#
#   scripts/install_dependencies.sh [--browser]
#
# With --browser also what the test of report.html needs, where the distribution has Chromium as a package (Ubuntu has not).
set -euo pipefail

die() { echo "install_dependencies.sh: $*" >&2; exit 1; }

# Programs may come from anywhere in PATH; libraries, fonts and certificates are looked up as packages.
declare -A program_of=([g++]=g++ [cmake]=cmake [ninja-build]=ninja [curl]=curl)
packages=(g++ cmake ninja-build curl ca-certificates
  libeigen3-dev libcli11-dev nlohmann-json3-dev libstb-dev fonts-dejavu-core libjs-chart.js catch2)
browser=()
if [[ ${1:-} == --browser ]]; then
  browser=(chromium chromium-driver chromium-sandbox python3-selenium)  # without its sandbox, it starts for root only
elif (($# > 0)); then
  die "expected --browser or nothing, got $1"
fi

if ! command -v apt-get >/dev/null; then
  for program in "${program_of[@]}"; do
    command -v "$program" >/dev/null || die "there is no apt-get here, and $program is missing: please install it"
  done
  echo "install_dependencies.sh: no apt-get here; CMake will fetch the libraries that it does not find" >&2
  exit 0
fi

is_installed() {
  local status
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) || status=absent
  [[ $status == installed ]]
}
is_available() { [[ $(apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[0-9]* ]]; }

missing=()
for package in "${packages[@]}"; do
  if [[ -v "program_of[$package]" ]] && command -v "${program_of[$package]}" >/dev/null; then continue; fi
  is_installed "$package" || missing+=("$package")
done
missing_browser=()
for package in "${browser[@]}"; do
  is_installed "$package" || missing_browser+=("$package")
done

# A fresh machine has no list of what is available yet; it lacks more than the browser, so the list comes with the rest.
offers_browser() { is_available chromium && is_available chromium-driver; }
if ((${#missing[@]} == 0)) && { ((${#missing_browser[@]} == 0)) || ! offers_browser; }; then exit 0; fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || die "sudo is missing; as root, run: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update
if ((${#missing_browser[@]} > 0)) && offers_browser; then missing+=("${missing_browser[@]}"); fi
echo "Installing ${missing[*]}" >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
