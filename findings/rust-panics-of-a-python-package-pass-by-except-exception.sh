#!/usr/bin/env bash
# Package: polars 2.1.0 (as an example of packages made with PyO3)
# Behaviour: the exception that a Rust panic becomes is a BaseException, so `except Exception` does not catch it.
# A good guess: a bug inside an extension module is a RuntimeError or another Exception; only exits and interrupts are
#   not.
# Seen 2026-11-28: PanicException -> BaseException -> object; the package's other errors are Exceptions
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
python3 -m pip --python "$work/env" install --quiet --no-compile --disable-pip-version-check polars==2.1.0

"$work/env/bin/python" - << 'PYTHON'
from polars.exceptions import ComputeError, PanicException

print(" -> ".join(cls.__name__ for cls in PanicException.__mro__))
assert not issubclass(PanicException, Exception)
assert issubclass(ComputeError, Exception)
PYTHON
