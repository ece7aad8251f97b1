#!/usr/bin/env bash
# A bundle and its engines, each made only where it is missing: build-engines PROFILE
#
# BARK_BUNDLE      name of the bundle in /data/bundles; by default the miniature of random weights, `tiny`
# BARK_CHECKPOINT  what it is imported from: OWNER/NAME of the Hugging Face hub, or a folder under /data/checkpoints
# BARK_PRECISION   of the three transformers; by default the profile's own
set -euo pipefail

profile=${1:?usage: build-engines cpu | tensorrt | torch}
name=${BARK_BUNDLE:-tiny}
checkpoint=${BARK_CHECKPOINT:-}
bundle=${BARK_BUNDLES:-/data/bundles}/$name

case $profile in
    cpu | tensorrt | torch) ;;
    *)
        echo "error: there is no profile $profile. Profiles: cpu, tensorrt, torch" >&2
        exit 2
        ;;
esac
if [ -n "$checkpoint" ] && [ "$name" = tiny ]; then
    echo "error: BARK_CHECKPOINT is set, but the bundle is still named tiny. Name it: BARK_BUNDLE=${checkpoint##*/}" >&2
    exit 2
fi
if [ ! -f "$bundle/spec.json" ]; then
    if [ -n "$checkpoint" ]; then
        bark-build import "$checkpoint" "$bundle"
    elif [ "$name" = tiny ]; then
        bark-build tiny "$bundle"
    else
        echo "error: there is no bundle $bundle. BARK_CHECKPOINT says what to import it from: suno/bark-small" >&2
        exit 2
    fi
fi

if [ "$profile" != torch ]; then # which runs the bundle as it is
    bark-build engines --profile "$profile" --gpu auto --bundle "$bundle" ${BARK_PRECISION:+--precision "$BARK_PRECISION"}
fi
