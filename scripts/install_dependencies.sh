#!/usr/bin/env bash
# Installs what building normnet needs (Debian 12, Ubuntu 24.04 or newer). Where nothing is missing, it needs neither sudo nor
# a network, and changes nothing.
set -euo pipefail

die() { echo "install_dependencies.sh: $*" >&2; exit 1; }

# Programs may come from anywhere in PATH; libraries, fonts and certificates are looked up as packages.
declare -A program_of=([g++]=g++ [cmake]=cmake [ninja-build]=ninja [curl]=curl)
packages=(g++ cmake ninja-build curl ca-certificates
  libeigen3-dev libcli11-dev nlohmann-json3-dev libstb-dev fonts-dejavu-core catch2)

if ! command -v apt-get >/dev/null; then
  for program in "${program_of[@]}"; do
    command -v "$program" >/dev/null || die "there is no apt-get here, and $program is missing: please install it"
  done
  echo "install_dependencies.sh: no apt-get here; CMake will fetch the libraries that it does not find" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  if [[ -v "program_of[$package]" ]] && command -v "${program_of[$package]}" >/dev/null; then continue; fi
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || status=absent
  [[ $status == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || die "sudo is missing; as root, run: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
echo "Installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
