#!/usr/bin/env bash
# Tests check_rooms.sh on small trees: a sound one passes, and each violation planted in it is found and named.
#
#   check_rooms_test.sh SCRATCH_DIR
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=${1:?expected a scratch folder}/rooms
failures=0

# Writes header $1 of the tree, which includes the others.
header() {
  local file=$tree/normnet/$1 name
  shift
  mkdir -p "$(dirname "$file")"
  for name in "$@"; do echo "#include <$name>"; done >"$file"
}

sound_tree() {
  rm -rf "$tree"
  header core/requirements.hpp
  header core/tensor.hpp normnet/core/requirements.hpp vector Eigen/Core
  header nn/kernels/conv.hpp normnet/core/tensor.hpp
  header nn/conv2d.hpp normnet/nn/kernels/conv.hpp
  header data/dataset.hpp normnet/core/tensor.hpp
  header train/trainer.hpp normnet/nn/conv2d.hpp normnet/data/dataset.hpp
  header viz/png.hpp normnet/core/tensor.hpp stb_image_write.h
  header io/json.hpp normnet/core/requirements.hpp nlohmann/json.hpp
  header normnet.hpp normnet/train/trainer.hpp
}

# Expects the tree to be refused with a line that holds $1.
refuses() {
  local output
  if output=$("$here/check_rooms.sh" "$tree") || [[ $output != *"$1"* ]]; then
    echo "expected a violation: $1"
    echo "got: $output"
    failures=$((failures + 1))
  fi
  sound_tree
}

sound_tree
"$here/check_rooms.sh" "$tree" || { echo "the sound tree was refused"; failures=1; }

header core/tensor.hpp normnet/nn/conv2d.hpp
refuses "normnet/core/tensor.hpp: the room core must not include normnet/nn/conv2d.hpp"

header nn/kernels/conv.hpp normnet/nn/conv2d.hpp
refuses "normnet/nn/kernels/conv.hpp: the room nn/kernels must not include normnet/nn/conv2d.hpp"

header data/dataset.hpp normnet/nn/conv2d.hpp
refuses "normnet/data/dataset.hpp: the room data must not include normnet/nn/conv2d.hpp"

header core/tensor.hpp normnet/core/requirements.hpp nlohmann/json.hpp
refuses "normnet/core/tensor.hpp: the room core must not use nlohmann/json.hpp"

header data/dataset.hpp boost/any.hpp
refuses "normnet/data/dataset.hpp: the room data must not use boost/any.hpp"

header core/a.hpp normnet/core/b.hpp
header core/b.hpp normnet/core/a.hpp
refuses "normnet/core/a.hpp: includes itself: normnet/core/a.hpp normnet/core/b.hpp normnet/core/a.hpp"

header attic/box.hpp normnet/core/requirements.hpp
refuses "normnet/attic/box.hpp: the room attic is unknown"

header core/tensor.hpp vector Eigen/Core
refuses "normnet/core/tensor.hpp: does not include normnet/core/requirements.hpp"

header core/shape.hpp normnet/core/requirements.hpp
refuses "normnet/normnet.hpp: does not include normnet/core/shape.hpp"

header normnet.hpp normnet/train/trainer.hpp normnet/viz/png.hpp
refuses "normnet/normnet.hpp: must not include normnet/viz/png.hpp, which needs an optional library"

header train/trainer.hpp normnet/nn/conv2d.hpp normnet/data/dataset.hpp normnet/io/json.hpp
refuses "normnet/normnet.hpp: must not include normnet/train/trainer.hpp, which needs an optional library"

echo '#include "tensor.hpp"' >>"$tree/normnet/core/tensor.hpp"
refuses 'normnet/core/tensor.hpp: expected #include <normnet/...>, got #include "tensor.hpp"'

exit $((failures > 0))
