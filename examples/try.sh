#!/usr/bin/env bash
# From a fresh clone to something to try: installs what is missing, builds, and runs the example edge (start.sh) until
# Ctrl-C. For Debian 12 with Node 20 and npm; as root where curl or openssl has to be installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# curl to type the lines that start.sh prints; openssl makes the certificate of the TLS origin.
if ! command -v curl >/dev/null || ! command -v openssl >/dev/null; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends curl openssl
fi
npm ls >/dev/null 2>&1 || npm ci
npm run build
exec npm start
