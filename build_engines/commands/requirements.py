"""Whether the libraries that a command needs are installed. `bark-build --help` works without any of them."""

from __future__ import annotations

import importlib.util

from bark_serving.errors import install_remedy
from build_engines.errors import BuildError

TORCH = ("torch",)


def require(*modules: str, extra: str = "build") -> None:
    """Raise `BuildError` unless these modules can be imported. `extra`: of our distribution, installs them."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise BuildError(
            f"This command needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            remedy=install_remedy(extra),
        )
