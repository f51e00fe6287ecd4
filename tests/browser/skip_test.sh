#!/usr/bin/env bash
# Tests that report_test.py is skipped, and says why, where the browser does not start.
#
#   skip_test.sh PYTHON SCRATCH_DIR
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${1:?expected Python}
scratch=${2:?expected a scratch folder}/skip
rm -rf "$scratch"
mkdir -p "$scratch/bin"
printf '#!/bin/sh\necho "No usable sandbox!" >&2\nexit 1\n' >"$scratch/bin/chromium"
chmod +x "$scratch/bin/chromium"

code=0
output=$(PATH=$scratch/bin:$PATH "$python" "$here/report_test.py" none "$scratch") || code=$?
if ((code == 77)) && [[ $output == *"(Debian: "* ]]; then  # no Selenium or no driver
  echo "$output"
  exit 77
fi
rm -rf "$scratch"
if ((code != 77)) || [[ $output != *"skipped, because "*"/chromium does not start: "*"No usable sandbox!"* ]]; then
  echo "FAILED: expected exit code 77 and the browser's reason, got $code and '$output'"
  exit 1
fi
