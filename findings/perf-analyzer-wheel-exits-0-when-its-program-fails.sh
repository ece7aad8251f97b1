#!/usr/bin/env bash
# Package: perf-analyzer 2.60.0
# Behaviour: the wheel's command perf_analyzer starts the real program and drops its exit status: it exits 0 whatever
#   happened.
# A good guess: a launcher passes the status on, so that a script with set -e stops.
# Seen 2026-11-28: exit status of the program: 1, of its launcher: 0
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The wheel asks for glibc 2.38. On an older one the program fails as well, for another reason.
python3 -m pip install --quiet --no-compile --disable-pip-version-check --root-user-action=ignore --no-deps --target "$work/site" \
    --platform manylinux_2_38_x86_64 --only-binary=:all: perf-analyzer==2.60.0

status() { # status COMMAND...: prints the exit status of a command
    "$@" > "$work/output" 2>&1 && echo 0 || echo $?
}
program=$(status "$work/site/perf_analyzer/bin/perf_analyzer" --no-such-option)
launcher=$(PYTHONPATH=$work/site status python3 -c 'import sys; from perf_analyzer.cli import main; sys.exit(main())' --no-such-option)
echo "exit status of the program: $program, of its launcher: $launcher"
[ "$program" != 0 ]
[ "$launcher" = 0 ]
