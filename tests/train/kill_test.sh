#!/usr/bin/env bash
# Kills a training 50 times at random moments, and asks it to stop five times; it must come to the same bits as one that nobody
# disturbs.
#
#   kill_test.sh PROGRAM SCRATCH_DIR
set -euo pipefail

program=${1:?expected the program killed_training}
scratch=${2:?expected a scratch folder}/kill
rm -rf "$scratch"
mkdir -p "$scratch"
die() { echo "kill_test.sh: $*" >&2; exit 1; }

start=$(date +%s%N)
"$program" "$scratch/whole"
took=$((($(date +%s%N) - start) / 1000))  # microseconds

# A life is up to a 30th of the whole, so that about 60 lie between the beginning and the end; should it end earlier, because the
# machine became faster, another run begins.
RANDOM=1
run=1 kills=0 stops=0 resumed=0
while ((kills < 50)); do
  "$program" "$scratch/run$run" 2>>"$scratch/log" &
  pid=$!
  life=$((took / 30 * RANDOM / 32768))
  sleep "$(printf '%d.%06d' $((life / 1000000)) $((life % 1000000)))"
  signal=KILL
  ((kills % 10 != 5 || stops * 10 > kills)) || signal=TERM
  kill -s $signal $pid 2>/dev/null || true
  status=0
  { wait $pid; } 2>/dev/null || status=$?
  case $status in
    0)
      cmp "$scratch/whole/weights.safetensors" "$scratch/run$run/weights.safetensors"
      run=$((run + 1))
      ;;
    137) kills=$((kills + 1)) ;;
    130 | 143) stops=$((stops + 1)) ;;  # 143: before it listens
    *) die "expected the program to end, to be killed or to stop, got status $status: $(cat "$scratch/log")" ;;
  esac
  ! compgen -G "$scratch/run$run/checkpoint-*" >/dev/null || resumed=$((resumed + 1))
done
"$program" "$scratch/run$run" 2>>"$scratch/log"

for file in weights.safetensors history.txt; do
  cmp "$scratch/whole/$file" "$scratch/run$run/$file"
done
[[ ! -s $scratch/log ]] || die "expected no damage, got $(cat "$scratch/log")"
((resumed > 25)) || die "expected most lives to begin with a checkpoint, got $resumed"
left=$(find "$scratch/run$run" -name 'checkpoint-*' | wc -l)
((left == 2)) || die "expected 2 checkpoints to be kept, got $left"
parts=$(find "$scratch/run$run" -name '*.part' | wc -l)
((parts == 0)) || die "expected no leftovers, got $parts"
echo "killed $kills times and stopped $stops times in $run runs, $resumed lives went on from a checkpoint"
rm -rf "$scratch"
