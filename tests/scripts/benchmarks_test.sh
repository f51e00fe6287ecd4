#!/usr/bin/env bash
# Tests the comparing scripts of benchmarks/ with stand-ins for the programs that they run: their tables, options and messages.
#
#   benchmarks_test.sh SCRATCH_DIR
set -euo pipefail

benchmarks=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/benchmarks
scratch=${1:?expected a scratch folder}/benchmarks
command -v python3 >/dev/null || exit 77
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
export PYTHONDONTWRITEBYTECODE=1

failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
expect() {  # a description, the expected output (standard error, too), then the command
  local got
  got=$("${@:3}" 2>&1) || got+=" (exit code $?)"
  [[ $got == "$2" ]] || fail "$1: expected '$2', got '$got'"
}

stand_in() { printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1"; }
# Twice as fast with two threads, half as fast with im2col.
stand_in training 'echo "$*" >>calls
speed=300; milliseconds=4
case "$*" in *"--threads 2"*) speed=600 ;; *im2col*) speed=150 milliseconds=8 ;; esac
echo "{\"simd\": \"avx512\", \"images_per_second\": $speed, \"microseconds\": $milliseconds}"'
stand_in pytorch 'echo "$* isa=$ONEDNN_MAX_CPU_ISA trim=$MALLOC_TRIM_THRESHOLD_" >>calls; echo "{\"images_per_second\": 200, \"microseconds\": 6}"'
stand_in convolutions 'echo "$*" >>calls
speed=100
case "$*" in *im2col*) speed=50 ;; esac
echo "{\"simd\": \"avx2\", \"gflop\": 1, \"forward\": $speed, \"input_gradient\": 9, \"weight_gradient\": 25, \"peak\": 200}"'
stand_in broken 'echo "out of order" >&2; exit 3'
unset ONEDNN_MAX_CPU_ISA MALLOC_TRIM_THRESHOLD_

expect "training and latency" \
  "| training, images/s: network | norm | normnet | PyTorch | times faster (extremes) |
|---|---|---|---|---|
| era | bn | 300 | 200 | 1.50 (1.50 to 1.50) |

| a single image, microseconds: network | norm | normnet | PyTorch | times faster (extremes) |
|---|---|---|---|---|
| era | bn | 4 | 6 | 1.50 (1.50 to 1.50) |" \
  "$benchmarks/compare_pytorch.py" ./training --python ./pytorch --norms bn --times 1 --mode train,latency
expect "against im2col" \
  "| evaluation, images/s: network | norm | normnet | PyTorch | times faster (extremes) | normnet, im2col | automatic : im2col |
|---|---|---|---|---|---|---|
| era | gn | 300 | 200 | 1.50 (1.50 to 1.50) | 150 | 2.00 (2.00 to 2.00) |" \
  "$benchmarks/compare_pytorch.py" ./training --python ./pytorch --norms gn --times 2 --mode eval --against-im2col
grep --quiet 'trim=4294967296' calls && fail "PyTorch must keep its memory only when asked to"
grep --quiet 'isa=AVX2' calls && fail "PyTorch must use AVX2 alone only when asked to"
expect "a program for another instruction set" \
  "| training, images/s: network | norm | normnet | PyTorch | times faster (extremes) |
|---|---|---|---|---|
compare_pytorch.py: --simd avx2: expected a program compiled for avx2, as by cmake --preset avx2, got one for avx512 (exit code 1)" \
  "$benchmarks/compare_pytorch.py" ./training --python ./pytorch --simd avx2
sed -i s/avx512/avx2/ training
"$benchmarks/compare_pytorch.py" ./training --python ./pytorch --simd avx2 --times 1 --norms bn >table
grep --quiet 'isa=AVX2' calls || fail "--simd avx2: PyTorch must use AVX2 alone"
"$benchmarks/compare_pytorch.py" ./training --python ./pytorch --keep-memory --times 1 --norms bn >table
grep --quiet 'trim=4294967296' calls || fail "--keep-memory: PyTorch must keep its memory"
"$benchmarks/compare_pytorch.py" ./training --mode fast >table 2>message && fail "an unknown mode must be an error"
grep --quiet 'error: --mode: expected train, eval, latency or several of them, got "fast"' message || fail "got '$(<message)'"
expect "a program that fails" \
  "| network | norm | threads | images/s | speed-up | efficiency |
|---|---|---|---|---|---|
compare_threads.py: ./broken failed: out of order (exit code 1)" \
  "$benchmarks/compare_threads.py" ./broken

expect "threads" \
  "| network | norm | threads | images/s | speed-up | efficiency |
|---|---|---|---|---|---|
| era | bn | 2 | 600 | 1.00 | 100 % |
| era | bn | 1 | 300 | 0.50 | 100 % |" \
  "$benchmarks/compare_threads.py" ./training --threads 2,1 --times 2
"$benchmarks/compare_threads.py" ./training --threads 1,none >table 2>message && fail "a number of threads that is none must be an error"
grep --quiet 'error: --threads: expected numbers from 1 on, separated by commas, got "1,none"' message || fail "got '$(<message)'"

expect "a busy machine" \
  "| busy loops | threads | a, trained images/s | b, trained images/s | a, us an image | b, us an image |
|---|---|---|---|---|---|
| 1 | 2 | 600 | 600 | 4 | 4 |" \
  "$benchmarks/busy_machine.py" a=./training b=./training --loops 1 --threads 2 --times 1
"$benchmarks/busy_machine.py" ./training >table 2>message && fail "a program without a name must be an error"
grep --quiet 'expected NAME=PROGRAM, got "./training"' message || fail "got '$(<message)'"

: >calls
expect "convolutions" \
  "| convolution | pass | normnet, GFLOP/s | of peak | im2col | ratio |
|---|---|---|---|---|---|
| 64->128 3x3 @16 stride 2 padding 1 | forward | 100 | 50 % | 50 | 2.00 |
| 64->128 3x3 @16 stride 2 padding 1 | dx | 9.0 | 4 % | 9.0 | 1.00 |
| 64->128 3x3 @16 stride 2 padding 1 | dw | 25 | 12 % | 25 | 1.00 |

Geometric mean of the ratios to im2col, forward: 2.00; least: 2.00

Geometric mean of the ratios to im2col, dx: 1.00; least: 1.00

Geometric mean of the ratios to im2col, dw: 1.00; least: 1.00" \
  "$benchmarks/compare_convolutions.py" ./convolutions --only '@16 stride' --against-im2col --without-pytorch --times 1 --threads 2
grep --quiet -e '--in 64 --out 128 --size 16 --kernel 3 --stride 2 --padding 1 --dilation 1 --groups 1 ' calls ||
  fail "the convolution's options, got '$(<calls)'"
expect "a list" "256->512 1x1 @8" "$benchmarks/compare_convolutions.py" ./none --only '^256->512' --list

stand_in compiler 'case "$*" in *--version*) echo "a compiler" ;; *) echo "$*" >>compiled ;; esac'
TIMES=1 "$benchmarks/compile_time.sh" ./compiler -march=old >seconds
[[ $(head -n 1 seconds) == "a compiler" && $(grep --count ' s  (' seconds) == 6 ]] || fail "compile times, got '$(<seconds)'"
[[ $(grep --count -e '-march=old .*-O[023] -c ' compiled) == 6 && $(grep --count -e -DNORMNET_COMPILED compiled) == 2 ]] || fail "flags of the compiler, got '$(<compiled)'"
expect "no compiler" "compile_time.sh: there is no compiler ./none (exit code 1)" "$benchmarks/compile_time.sh" ./none

cd /
rm -rf "$scratch"
exit $((failures > 0))
