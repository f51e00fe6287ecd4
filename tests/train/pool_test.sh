#!/usr/bin/env bash
# Trains with a program that was compiled with OpenMP and with one that uses a pool of threads, on several numbers of threads: the
# weights and the history must be the same bits.
#
#   pool_test.sh PROGRAM PROGRAM_WITH_POOL SCRATCH_DIR
set -euo pipefail

program=${1:?expected the program killed_training}
pool=${2:?expected the same program without OpenMP}
scratch=${3:?expected a scratch folder}/pool
rm -rf "$scratch"
mkdir -p "$scratch"

OMP_NUM_THREADS=1 "$pool" "$scratch/expected"
for threads in 1 2 3 4 7 16; do
  for back_end in program pool; do
    OMP_NUM_THREADS=$threads "${!back_end}" "$scratch/$back_end$threads"
    for file in weights.safetensors history.txt; do
      cmp "$scratch/expected/$file" "$scratch/$back_end$threads/$file"
    done
  done
done
rm -rf "$scratch"
