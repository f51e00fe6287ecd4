#!/usr/bin/env bash
# Downloads CIFAR-10 (170 MB) into DIR (default: data/ in this repository) and prints the folder that holds its .bin files.
#
#   scripts/download_cifar10.sh [DIR]
#
# Does nothing where the files are there already. An interrupted download goes on where it stopped. The archive's checksum is
# verified, and the folder appears whole or not at all. NORMNET_CIFAR10_URL and NORMNET_CIFAR10_MD5 choose another archive.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
url=${NORMNET_CIFAR10_URL:-https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz}
md5=${NORMNET_CIFAR10_MD5:-c32a1d4ab5d03f1284b67883e8d87530}
batches=(data_batch_{1..5}.bin test_batch.bin)
batch_bytes=$((10000 * (1 + 3 * 32 * 32)))  # 10,000 records: a label, then three planes of 32 x 32 bytes

die() { echo "download_cifar10.sh: $*" >&2; exit 1; }

# The first batch file that folder $1 lacks or has in another size; nothing where all are whole.
damage() {
  local batch
  for batch in "${batches[@]}"; do
    [[ -f $1/$batch && $(stat --format=%s "$1/$batch") == "$batch_bytes" ]] || { echo "$batch"; return; }
  done
}

md5_of() { md5sum "$1" | cut --delimiter=' ' --fields=1; }

if (($# > 1)); then die "expected one folder, got $#"; fi
dir=${1:-$root/data}
mkdir -p "$dir" || die "cannot make the folder $dir"
dir=$(cd "$dir" && pwd)
folder=$dir/cifar-10-batches-bin
archive=$dir/cifar-10-binary.tar.gz.part

if [[ -e $folder ]]; then
  damaged=$(damage "$folder")
  [[ -z $damaged ]] || die "$folder is damaged: expected $batch_bytes bytes in $damaged; remove the folder and run this again"
  echo "$folder"
  exit 0
fi

if [[ ! -f $archive || $(md5_of "$archive") != "$md5" ]]; then
  echo "Downloading $url" >&2
  if [[ -t 2 ]]; then show=--progress-bar; else show=--silent; fi
  status=0
  http=$(curl --fail --location --show-error $show --connect-timeout 30 --speed-limit 1000 --speed-time 60 \
    --continue-at - --output "$archive" --write-out '%{http_code}' "$url") || status=$?
  if ((status == 33)) || [[ $http == 416 ]]; then
    rm -f "$archive"
    die "cannot go on with the interrupted download of $url; run this again to begin anew"
  fi
  ((status == 0)) || die "cannot download $url (curl: error $status); run this again to go on where it stopped"
  got=$(md5_of "$archive")
  if [[ $got != "$md5" ]]; then
    rm -f "$archive"
    die "wrong checksum of $url: expected md5 $md5, got $got; the download was removed"
  fi
fi

unpacked=$(mktemp --directory "$dir/.unpack.XXXXXX")
trap 'rm -rf "$unpacked"' EXIT
tar --extract --gzip --file "$archive" --directory "$unpacked" || die "cannot unpack $archive into $dir"
damaged=$(damage "$unpacked/cifar-10-batches-bin")
[[ -z $damaged ]] || die "$url is not CIFAR-10: expected $batch_bytes bytes in cifar-10-batches-bin/$damaged"
mv --no-target-directory "$unpacked/cifar-10-batches-bin" "$folder" || die "cannot make $folder"
rm -f "$archive"
echo "$folder"
