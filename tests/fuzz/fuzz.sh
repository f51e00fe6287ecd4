#!/usr/bin/env bash
# Builds the fuzz targets and runs each for so many executions; the first finding ends it, and is kept in the build folder.
#
#   fuzz.sh [EXECUTIONS [TARGET...]]     20000000 of cifar10, safetensors and checkpoint
#
# Needs clang++ (or CXX, another Clang). What the fuzzer learns is kept in build/fuzz/corpus, so that the next run begins with it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
executions=${1:-20000000}
targets=("${@:2}")
((${#targets[@]} > 0)) || targets=(cifar10 safetensors checkpoint)
build=$root/build/fuzz

cmake -S "$root" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="${CXX:-clang++}" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNORMNET_FUZZ=ON \
  -DNORMNET_TESTS=OFF -DNORMNET_EXAMPLES=OFF -DNORMNET_OPENMP=OFF
cmake --build "$build" --target "${targets[@]/%/_fuzz}"

for target in "${targets[@]}"; do
  corpus=$build/corpus/$target
  mkdir -p "$corpus"
  options=(-runs="$executions" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)
  options+=(-artifact_prefix="$build/$target-")
  [[ $target == cifar10 ]] || options+=(-dict="$root/tests/fuzz/safetensors.dict")
  # The files of cifar10 lie in memory: the disk would be asked 20 million times.
  [[ ! -w /dev/shm ]] || export TMPDIR=/dev/shm
  "$build/tests/fuzz/${target}_fuzz" "${options[@]}" "$corpus" "$root/tests/fuzz/corpus/$target"
done
