#!/usr/bin/env bash
# The main job: trains the networks of examples/cifar10_norms on CIFAR-10 and writes histories, charts and pictures.
#
#   scripts/experiments.sh [options of cifar10_norms, see --help]
#
# Installs what is missing, builds, gets the data and runs; the exit code is the program's. The data are the folder that --data
# or the environment variable NORMNET_DATA names, or else the download in data/. Without any, synthetic images take their place.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
say() { echo "experiments.sh: $*" >&2; }

"$root/scripts/install_dependencies.sh"
cmake -S "$root" --preset release >&2  # with the options that it has; test.sh builds in the same folder
cmake --build "$root/build/release" --target cifar10_norms --parallel "$(nproc)" >&2

data=()
case " $* " in
  *" --data "* | *" --data="* | *" --synthetic "* | *" --help "* | *" -h "*) ;;
  *)
    if [[ -n ${NORMNET_DATA:-} ]]; then
      data=(--data "$NORMNET_DATA")
    elif folder=$("$root/scripts/download_cifar10.sh"); then
      data=(--data "$folder")
    else
      say "**********************************************************************************"
      say "CIFAR-10 could not be downloaded: the images of this run are SYNTHETIC, and so are"
      say "its accuracies. Set NORMNET_DATA to a folder with the .bin files for the real ones."
      say "**********************************************************************************"
      data=(--synthetic)
    fi
    ;;
esac

# Threads that wait for others soon sleep: spinning gains nothing here, and where other programs run it takes their cores, and ours.
# Many threads take longer to wake, so they spin longer.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-$(($(nproc) < 4 ? 1000 : 10000))}

# Under the script's name, so that the command that it tells for going on with a stopped run is this one.
exec -a "$0" "$root/build/release/examples/cifar10_norms" "${data[@]}" "$@"
