#!/usr/bin/env bash
# Trains with a program that was compiled with OpenMP, on several numbers of threads, and with one that was compiled without: the
# weights and the history must be the same bits.
#
#   serial_test.sh PROGRAM PROGRAM_WITHOUT_OPENMP SCRATCH_DIR
set -euo pipefail

program=${1:?expected the program killed_training}
serial=${2:?expected the same program without OpenMP}
scratch=${3:?expected a scratch folder}/serial
rm -rf "$scratch"
mkdir -p "$scratch"

"$serial" "$scratch/serial"
for threads in 1 2 3 4 7 16; do
  OMP_NUM_THREADS=$threads "$program" "$scratch/$threads"
  for file in weights.safetensors history.txt; do
    cmp "$scratch/serial/$file" "$scratch/$threads/$file"
  done
done
rm -rf "$scratch"
