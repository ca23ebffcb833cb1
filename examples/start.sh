#!/bin/sh
# Runs the example edge with an echo and an HTTP origin behind it, until Ctrl-C. The repository must be built.
set -eu
cd "$(dirname "$0")"
mkdir -p run

node origin.mjs &
origin=$!
../bin/sluice run -c edge.yaml 2>run/edge.log &
edge=$!
trap 'kill "$edge" "$origin" 2>/dev/null || true; wait 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM

tries=0
until grep -q '"event":"ready"' run/edge.log; do
  tries=$((tries + 1))
  if [ "$tries" -gt 300 ] || ! kill -0 "$edge" 2>/dev/null; then
    echo "the edge did not start; run/edge.log says:" >&2
    cat run/edge.log >&2
    exit 1
  fi
  sleep 0.1
done

cat <<'TEXT'

The edge is ready. In another terminal, from the repository:

  curl --proxy socks5h://alice:s3cret@127.0.0.1:1080 http://127.0.0.1:8081/
  curl --proxy http://alice:s3cret@127.0.0.1:8080 http://127.0.0.1:8081/
  curl --proxytunnel --proxy http://alice:s3cret@127.0.0.1:8080 http://127.0.0.1:8081/
  curl --insecure --connect-to www.example.com:443:127.0.0.1:8443 https://www.example.com/
  curl --proxy socks5h://alice:s3cret@127.0.0.1:1080 --output /dev/null http://127.0.0.1:8081/bytes/1000000000
  ./bin/sluice status -c examples/edge.yaml
  ./bin/sluice ps -c examples/edge.yaml
  ./bin/sluice services list -c examples/edge.yaml
  ./bin/sluice rules -c examples/edge.yaml
  ./bin/sluice rules explain -c examples/edge.yaml --target tracker.example
  ./bin/sluice reload -c examples/edge.yaml

The log is examples/run/edge.log. Ctrl-C ends the edge and the origin.
TEXT
wait "$edge"
