#!/usr/bin/env bash
# Makes a bundle and its engines, unless they exist: build-engines PROFILE
#
# BARK_BUNDLE      name of the bundle in /data/bundles; default: the miniature that bark-triton contains
# BARK_CHECKPOINT  where the bundle is imported from: OWNER/NAME on the Hugging Face hub, or a folder under /data/checkpoints
# BARK_PRECISION   precision of the three transformers; default: the profile's
set -euo pipefail

profile=${1:?usage: build-engines cpu | rtx | tensorrt | trtllm | torch}
name=${BARK_BUNDLE:-}
checkpoint=${BARK_CHECKPOINT:-}
bundle=${name:+${BARK_BUNDLES:-/data/bundles}/}${name:-miniature}

case $profile in
    cpu | rtx | tensorrt | trtllm | torch) ;;
    *)
        echo "error: there is no profile $profile. Profiles: cpu, rtx, tensorrt, trtllm, torch" >&2
        exit 2
        ;;
esac
if [ -n "$checkpoint" ] && [ -z "$name" ]; then
    echo "error: BARK_CHECKPOINT is set, but its bundle has no name. Name it: BARK_BUNDLE=${checkpoint##*/}" >&2
    exit 2
fi
if [ -n "$name" ] && [ ! -f "$bundle/spec.json" ]; then
    if [ -n "$checkpoint" ]; then
        # 3: voices that cannot be read were left out. Another container may have made the bundle meanwhile.
        bark-build import "$checkpoint" "$bundle" || [ $? -eq 3 ] || [ -f "$bundle/spec.json" ]
    else
        echo "error: there is no bundle $bundle. BARK_CHECKPOINT says what to import it from: suno/bark-small" >&2
        exit 2
    fi
fi

if [ "$profile" != torch ]; then # torch runs the bundle without engines
    bark-build engines --profile "$profile" --gpu auto --bundle "$bundle" ${BARK_PRECISION:+--precision "$BARK_PRECISION"}
fi
