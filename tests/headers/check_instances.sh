#!/usr/bin/env bash
# Checks that normnet/instances.hpp lists every final class template of the library with one parameter, and every activation.
#
#   check_instances.sh INCLUDE_DIR
#
# Prints each that is missing, and fails if there is one.
set -euo pipefail

cd "${1:?expected the folder that holds normnet/}"
templates() {
  awk '
    after_template && match($0, /^class [A-Za-z0-9]+ final/) { print "class " $2 "<float>" }
    after_template && namespace == "formulas" && /^struct / { print "class Activation<float, normnet_impl::formulas::" $2 "<float>>" }
    /^namespace .*::formulas/ { namespace = "formulas" }
    /^}  \/\/ namespace .*::formulas/ { namespace = "" }
    { after_template = /^template <class T>$/ }' "$@"
}
mapfile -t expected < <(templates normnet/nn/*.hpp normnet/optim/*.hpp normnet/data/*.hpp normnet/train/*.hpp | sort)
((${#expected[@]} > 20)) || { echo "check_instances.sh: found only ${#expected[@]} class templates in $1" >&2; exit 1; }

missing=0
for class in "${expected[@]}"; do
  grep --quiet --fixed-strings "NORMNET_INSTANCES $class;" normnet/instances.hpp && continue
  echo "normnet/instances.hpp: expected $class"
  missing=1
done
exit "$missing"
