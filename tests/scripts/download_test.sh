#!/usr/bin/env bash
# Tests scripts/download_cifar10.sh against a server on the loopback: whole, cut off and resumed, damaged, unreachable, repeated.
#
#   download_test.sh SCRATCH_DIR            exit code 77: skipped, there is no Python for the server
set -euo pipefail

script=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/scripts/download_cifar10.sh
server_script=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/http_server.py
scratch=${1:?expected a scratch folder}/download
command -v python3 >/dev/null || { echo "skipped: python3 is missing"; exit 77; }

rm -rf "$scratch"
mkdir -p "$scratch/make/cifar-10-batches-bin"
cd "$scratch"

# An archive with files of the official sizes. They are all zeros, so that it is small.
for batch in data_batch_{1..5} test_batch; do truncate --size=30730000 "make/cifar-10-batches-bin/$batch.bin"; done
tar --create --use-compress-program='gzip -1' --file sound.tar.gz --directory make cifar-10-batches-bin
head --bytes=100000 sound.tar.gz >truncated.tar.gz
rm make/cifar-10-batches-bin/test_batch.bin
tar --create --use-compress-program='gzip -1' --file incomplete.tar.gz --directory make cifar-10-batches-bin
sound_md5=$(md5sum sound.tar.gz | cut -d ' ' -f 1)
archive_bytes=$(stat --format=%s sound.tar.gz)
rm -rf make

python3 "$server_script" "$scratch" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
for ((i = 0; i < 100; i++)); do
  [[ -f port ]] && break
  sleep 0.1
done
[[ -f port ]] || { echo "the test's server did not start"; exit 1; }
url=http://127.0.0.1:$(<port)/cifar-10-binary.tar.gz

failures=0
expect() {  # a description, then a command that must succeed
  local what=$1
  shift
  if ! "$@"; then
    echo "FAILED: $what"
    sed 's/^/  stderr: /' stderr
    failures=$((failures + 1))
  fi
}

# Runs the script with archive $1 on the server, into folder $2, expecting that archive's md5 or $3. Sets status; leaves stdout
# and stderr in files, and the requests of this run alone in the file requests.
download() {
  cp "$1" archive
  : >requests
  status=0
  NORMNET_CIFAR10_URL=$url NORMNET_CIFAR10_MD5=${3:-$(md5sum "$1" | cut -d ' ' -f 1)} "$script" "$2" >stdout 2>stderr || status=$?
}
succeeds() { ((status == 0)) && [[ $(tail -n 1 stdout) == "$1/cifar-10-batches-bin" ]]; }
fails_saying() { ((status != 0)) && [[ ! -s stdout && $(tail -n 1 stderr) == "download_cifar10.sh: "*"$1"* ]]; }
requested() { [[ $(<requests) == "$1" ]]; }
holds_only() {  # folder $1 holds nothing but the files named
  local folder=$1
  shift
  [[ $(ls -A "$folder") == "$(printf '%s\n' "$@")" ]]
}

download sound.tar.gz "$scratch/whole"
expect "a whole download succeeds" succeeds "$scratch/whole"
expect "... with one request" requested whole
expect "... and leaves the folder only" holds_only whole cifar-10-batches-bin
expect "... which holds six files" holds_only whole/cifar-10-batches-bin data_batch_{1..5}.bin test_batch.bin

download sound.tar.gz "$scratch/whole"
expect "a second run succeeds" succeeds "$scratch/whole"
expect "... without a request" requested ""

truncate --size=1000 whole/cifar-10-batches-bin/data_batch_3.bin
download sound.tar.gz "$scratch/whole"
expect "a damaged folder is named" fails_saying "is damaged: expected 30730000 bytes in data_batch_3.bin"
expect "... and left alone" holds_only whole/cifar-10-batches-bin data_batch_{1..5}.bin test_batch.bin

echo 50000 >cut_after
download sound.tar.gz "$scratch/cut"
expect "a download that is cut off fails" fails_saying "cannot download $url"
expect "... and keeps what came" holds_only cut cifar-10-binary.tar.gz.part
expect "... which is as much as was sent" [ "$(stat --format=%s cut/cifar-10-binary.tar.gz.part)" = 50000 ]
rm cut_after
download sound.tar.gz "$scratch/cut"
expect "the next run goes on where it stopped" requested "bytes=50000-"
expect "... and succeeds" succeeds "$scratch/cut"
expect "... and leaves the folder only" holds_only cut cifar-10-batches-bin

mkdir killed
cp sound.tar.gz killed/cifar-10-binary.tar.gz.part
download sound.tar.gz "$scratch/killed"
expect "a whole archive that was not unpacked is unpacked" succeeds "$scratch/killed"
expect "... without a request" requested ""

download sound.tar.gz "$scratch/wrong" 0123456789abcdef0123456789abcdef
expect "a wrong checksum fails" fails_saying "expected md5 0123456789abcdef0123456789abcdef, got $sound_md5"
expect "... and leaves nothing" holds_only wrong ""
download sound.tar.gz "$scratch/wrong"
expect "the next run begins anew" requested whole
expect "... and succeeds" succeeds "$scratch/wrong"

mkdir longer
truncate --size=$((archive_bytes + 1)) longer/cifar-10-binary.tar.gz.part
download sound.tar.gz "$scratch/longer"
expect "a partial download longer than the archive fails" fails_saying "run this again to begin anew"
download sound.tar.gz "$scratch/longer"
expect "... and the next run succeeds" succeeds "$scratch/longer"

download truncated.tar.gz "$scratch/unpack"
expect "an archive that cannot be unpacked fails" fails_saying "cannot unpack"
expect "... and leaves no folder" holds_only unpack cifar-10-binary.tar.gz.part

download incomplete.tar.gz "$scratch/incomplete"
expect "an archive without a batch fails" fails_saying "expected 30730000 bytes in cifar-10-batches-bin/test_batch.bin"
expect "... and leaves no folder" holds_only incomplete cifar-10-binary.tar.gz.part

kill "$server"
wait "$server" 2>/dev/null || true
download sound.tar.gz "$scratch/unreachable"
expect "an unreachable server fails" fails_saying "cannot download $url"
expect "... and leaves nothing" holds_only unreachable ""

cd /
rm -rf "$scratch"
exit $((failures > 0))
