#!/usr/bin/env bash
# Package: GNU make 4.3 (the one that is installed; any 4.x)
# Behaviour: a variable given on the command line is expanded like one in the makefile: $(shell ...) in it is run.
#   `override NAME := $(value NAME)` takes the text as it is.
# A good guess: text given as make NAME=text is data, as it is for other programs.
# Seen 2026-11-28: without: TEXT='$(shell echo ran)' prints ran; with override: $(shell echo ran)
# shellcheck disable=SC2016 # $(...) is meant for make, not for this shell
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make --version | head -n 1
printf 'show: ; @printenv TEXT\nexport TEXT\n' > "$work/expanded"
printf 'show: ; @printenv TEXT\noverride export TEXT := $(value TEXT)\n' > "$work/plain"
given='$(shell echo ran)'
expanded=$(make --silent --file "$work/expanded" TEXT="$given")
plain=$(make --silent --file "$work/plain" TEXT="$given")
echo "by default: $expanded; with override and value: $plain"
[ "$expanded" = ran ]
[ "$plain" = "$given" ]
