#!/usr/bin/env bash
# Checks that no header includes one of a room above its own, that every header includes normnet/core/requirements.hpp, itself or
# through another, and that normnet.hpp is the whole library.
#
#   check_rooms.sh INCLUDE_DIR
#
# Prints every violation as FILE: what is wrong, and fails if there is one. Each room stands on those listed for it below, and
# what needs an optional library stays out of normnet.hpp.
set -euo pipefail

cd "${1:?expected the folder that holds normnet/}"
mapfile -t headers < <(find normnet -name '*.hpp' | LC_ALL=C sort)
((${#headers[@]} > 0)) || { echo "check_rooms.sh: no headers in $1/normnet" >&2; exit 1; }

awk '
BEGIN {
  stands_on["core"] = "core"
  stands_on["nn/kernels"] = "core nn/kernels"
  stands_on["nn"] = "core nn/kernels nn"
  stands_on["optim"] = "core nn/kernels nn optim"
  stands_on["data"] = "core data"
  stands_on["io"] = "core io"
  stands_on["viz"] = "core io viz"
  stands_on["train"] = "core nn/kernels nn optim data io train"
  stands_on["testing"] = "core nn/kernels nn testing"

  # Libraries other than the standard one, and the rooms that may use them.
  library_rooms["Eigen"] = library_rooms["omp.h"] = " core nn/kernels nn "
  library_rooms["nlohmann"] = " io train "
  library_rooms["stb"] = " viz "
  optional["nlohmann"] = optional["stb"] = 1
}

function room_of(header) {
  if (header ~ /^normnet\/nn\/kernels\//) return "nn/kernels"
  if (split(header, part, "/") == 2) return "top"
  return part[2]
}

function library_of(name) {
  if (name ~ /^stb_[a-z_]*\.h$/) return "stb"
  if (name == "omp.h") return name
  if (name ~ /^sys\// || name !~ /\//) return ""  # the standard library and the system
  sub(/\/.*/, "", name)
  return name
}

function violation(header, what) { print header ": " what; violations++ }

function visit(header, path,    i) {
  if (state[header] == "left") return
  if (state[header] == "entered") { violation(header, "includes itself:" path " " header); return }
  state[header] = "entered"
  for (i = 1; i <= count[header]; i++) visit(included[header, i], path " " header)
  state[header] = "left"
}

function reach(header,    i) {
  if (reached[header]++) return
  for (i = 1; i <= count[header]; i++) reach(included[header, i])
}

function needs_optional(header,    i) {
  if (header in known_optional) return known_optional[header]
  known_optional[header] = uses_optional[header]
  for (i = 1; i <= count[header]; i++) if (needs_optional(included[header, i])) known_optional[header] = 1
  return known_optional[header]
}

FNR == 1 {
  header = FILENAME
  room = room_of(header)
  headers[++header_count] = header
  if (room != "top" && !(room in stands_on)) violation(header, "the room " room " is unknown")
}

/^[ \t]*#[ \t]*include[ \t]*"/ { violation(header, "expected #include <normnet/...>, got " $0) }

/^[ \t]*#[ \t]*include[ \t]*</ {
  name = $0
  sub(/^[^<]*</, "", name)
  sub(/>.*/, "", name)
  if (name ~ /^normnet\//) {
    included[header, ++count[header]] = name
    other = room_of(name)
    if (room != "top" && index(" " stands_on[room] " ", " " other " ") == 0) {
      violation(header, "the room " room " must not include " name)
    }
  } else {
    library = library_of(name)
    if (library != "" && index(library_rooms[library], " " room " ") == 0) {
      violation(header, "the room " room " must not use " name)
    }
    if (library in optional) uses_optional[header] = 1
  }
}

END {
  for (i = 1; i <= header_count; i++) visit(headers[i], "")
  requirements = "normnet/core/requirements.hpp"
  for (i = 1; i <= header_count; i++) {  # one that includes another of ours has it from there
    header = headers[i]
    if (count[header] == 0 && header != requirements) violation(header, "does not include " requirements)
  }
  all = "normnet/normnet.hpp"
  reach(all)
  for (i = 1; i <= header_count; i++) {
    header = headers[i]
    outside = needs_optional(header) || room_of(header) == "viz"
    if (outside && header in reached) violation(all, "must not include " header ", which needs an optional library")
    if (!outside && !(header in reached)) violation(all, "does not include " header)
  }
  exit violations > 0
}
' "${headers[@]}"
