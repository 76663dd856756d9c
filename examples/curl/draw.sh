#!/usr/bin/env bash
# Draws a picture through the queue with curl alone.
#
#   bash examples/curl/draw.sh "an island in the ocean at sunset"
#
# DARKROOM_URL: http://127.0.0.1:3010 unless set. FAL_KEY: where the server needs a key. CURL_CA_BUNDLE: with --tls.
set -euo pipefail

url="${DARKROOM_URL:-http://127.0.0.1:3010}"
prompt="${1:-an island in the ocean at sunset}"
call() { curl --silent --show-error --fail-with-body -H "authorization: Key ${FAL_KEY:-none:none}" "$@"; }
# The first value of a key in a JSON text of one line.
value() { sed -E "s/.*\"$1\": ?\"([^\"]*)\".*/\1/"; }

submitted=$(call "$url/queue/fal-ai/fast-lcm-diffusion" -H 'content-type: application/json' \
  -d "{\"prompt\": \"$prompt\", \"image_size\": \"square\", \"sync_mode\": false}")
status_url=$(value status_url <<<"$submitted")
response_url=$(value response_url <<<"$submitted")

until [[ $(call "$status_url" | value status) == COMPLETED ]]; do sleep 0.2; done

picture=$(call "$response_url" | value url)
curl --silent --show-error --fail --output drawn.jpg "$picture"
echo 'Wrote drawn.jpg'
