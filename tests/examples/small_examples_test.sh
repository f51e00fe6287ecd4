#!/usr/bin/env bash
# Tests that the examples custom_layer and quickstart say what they promise.
#
#   small_examples_test.sh CUSTOM_LAYER QUICKSTART
set -euo pipefail

failures=0
output=$("${1:?expected the program custom_layer}") || { echo "FAILED: custom_layer: exit code $?"; failures=1; }
for line in 'gradient_check of Swish:' '  beta 5: relative error ' 'The backward pass is right.' 'The network with it learns.'; do
  if [[ $'\n'$output != *$'\n'"$line"* ]]; then
    echo "FAILED: custom_layer: expected the line '$line', got:"$'\n'"$output"
    failures=1
  fi
done

expected='quickstart: Cifar10: no folder "/nonexistent"; get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it'
if message=$("${2:?expected the program quickstart}" /nonexistent 2>&1); then
  echo "FAILED: quickstart: expected an error for a folder that is not there"
  failures=1
fi
[[ $message == "$expected" ]] || { echo "FAILED: quickstart: expected '$expected', got '$message'"; failures=1; }

# It trains on any set of that format, be it one image a file, and says when its output does not arrive.
folder=$(mktemp --directory)
trap 'rm -rf "$folder"' EXIT
for file in data_batch_{1..5} test_batch; do head --bytes=3073 /dev/urandom | tr '\000-\377' '\000-\011' >"$folder/$file.bin"; done
output=$("$2" "$folder") || { echo "FAILED: quickstart: exit code $?"; failures=1; }
[[ $output == *$'\n''epoch 20/20  train loss '* ]] || { echo "FAILED: quickstart: expected 20 epochs, got '$output'"; failures=1; }
for program in "$1" "$2"; do
  name=$(basename "$program")
  if message=$("$program" "$folder" 2>&1 >/dev/full); then
    echo "FAILED: $name: expected an error for output that does not arrive"
    failures=1
  fi
  [[ $message == "$name: cannot write to standard output" ]] || { echo "FAILED: $name: got '$message'"; failures=1; }
done
exit $failures
