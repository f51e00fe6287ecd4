#!/usr/bin/env bash
# Measures how long a small program that includes normnet.hpp compiles on one core.
#
#   compile_time.sh [COMPILER] [FLAG...]
#
# The compiler is $CXX or g++ unless given; the flags are -march=native -fopenmp unless given. Prints the median of $TIMES
# (3) compilations at -O0 and at -O2, of the header alone, and the same with the library's templates compiled apart.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
compiler=${1:-${CXX:-g++}}
flags=("${@:2}")
if ((${#flags[@]} == 0)); then flags=(-march=native -fopenmp); fi
times=${TIMES:-3}

die() { echo "compile_time.sh: $*" >&2; exit 1; }
command -v "$compiler" >/dev/null || die "there is no compiler $compiler"
[[ $times =~ ^[1-9][0-9]*$ ]] || die "TIMES: expected a number of at least 1, got $times"
# pkg-config knows Eigen where it is installed elsewhere.
read -ra eigen <<<"$(pkg-config --cflags eigen3 2>/dev/null || echo -I/usr/include/eigen3)"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo '#include <normnet/normnet.hpp>' >"$scratch/header.cpp"

measure() {  # what is measured, its file, its flags
  local seconds=() start i
  for ((i = 0; i < times; ++i)); do
    start=$EPOCHREALTIME
    "$compiler" -std=c++20 "${flags[@]}" "${eigen[@]}" -I "$root/include" "${@:3}" -c "$2" -o "$scratch/out.o"
    seconds+=("$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 1000))")
  done
  printf '%s\n' "${seconds[@]}" | sort -n | awk -v what="$1" '{ ms[NR] = $1 } END {
    printf "%-28s %5.1f s  (%.1f to %.1f)\n", what, ms[int((NR + 1) / 2)] / 1000, ms[1] / 1000, ms[NR] / 1000 }'
}

"$compiler" --version | head -n 1
measure "normnet.hpp alone, -O0" "$scratch/header.cpp" -O0
measure "compile_time.cpp, -O0" "$root/benchmarks/compile_time.cpp" -O0
measure "compile_time.cpp, -O2" "$root/benchmarks/compile_time.cpp" -O2
echo "with normnet::compiled"
measure "compile_time.cpp, -O0" "$root/benchmarks/compile_time.cpp" -DNORMNET_COMPILED -O0
measure "compile_time.cpp, -O2" "$root/benchmarks/compile_time.cpp" -DNORMNET_COMPILED -O2
measure "normnet::compiled itself" "$root/cmake/compiled.cpp" -O3
