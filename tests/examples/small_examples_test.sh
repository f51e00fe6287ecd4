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

expected='quickstart: Cifar10: no folder "/nonexistent"; scripts/download_cifar10.sh downloads the data set and prints its folder'
if message=$("${2:?expected the program quickstart}" /nonexistent 2>&1); then
  echo "FAILED: quickstart: expected an error for a folder that is not there"
  failures=1
fi
[[ $message == "$expected" ]] || { echo "FAILED: quickstart: expected '$expected', got '$message'"; failures=1; }
exit $failures
