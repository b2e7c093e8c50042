#!/usr/bin/env bash
# Makes the Python environment of the SDK checks, outside the checkout, and prints the path of its interpreter as the last line.
# Needs Python 3.11 or newer with venv and pip. Installs only when requirements.txt differs from what the environment was made from.
#   CABOTAGE_SDK_VENV   where it lives (default ~/.cache/cabotage/sdk-venv)
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="${CABOTAGE_SDK_VENV:-$HOME/.cache/cabotage/sdk-venv}"
requirements="$here/requirements.txt"
stamp="$venv/.requirements.sha256"
python="$venv/bin/python"

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "sdk/setup.sh: $(python3 --version 2>&1 || echo no python3) is too old for the pinned SDKs; Python 3.11 or newer is needed" >&2
  exit 1
fi

# The interpreter's version is part of the key: a venv dies with the Python that made it.
wanted="$(python3 - "$requirements" <<'PY'
import hashlib, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read() + sys.version.encode()).hexdigest())
PY
)"

if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
  echo "$python"
  exit 0
fi

echo "sdk/setup.sh: installing the SDKs into $venv" >&2
rm -f "$stamp"
mkdir -p "$(dirname "$venv")"
if ! python3 -m venv --clear "$venv" >&2; then
  echo "sdk/setup.sh: python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2
  exit 1
fi
# uv resolves and installs in seconds; where it cannot be had, pip does the same work slowly.
if "$python" -m pip install --quiet --disable-pip-version-check uv >&2 \
  && "$python" -m uv pip install --quiet --python "$python" -r "$requirements" >&2; then
  :
else
  echo "sdk/setup.sh: uv is not to be had, going on with pip" >&2
  "$python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2
fi
printf '%s\n' "$wanted" > "$stamp"
echo "$python"
