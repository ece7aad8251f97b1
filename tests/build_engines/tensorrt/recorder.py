"""Records what a piece of code uses of TensorRT: a wrapper of its module that notes every attribute and call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call of a method or constructor: ``IBuilderConfig.set_flag``, with how many arguments and which names."""

    name: str
    positional: int
    keywords: tuple[str, ...]


@dataclass
class Notes:
    attributes: set[str] = field(default_factory=set)  #: ``Class.attribute``, read or written
    calls: set[Call] = field(default_factory=set)


class Recorder:
    """Stands for an object of TensorRT: its module, a class, or an instance."""

    def __init__(self, real: Any, notes: Notes, owner: str = "") -> None:
        vars(self).update(_real=real, _notes=notes, _owner=owner)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        full = f"{self._owner}.{name}" if self._owner else name
        self._notes.attributes.add(full)
        if isinstance(value, type):
            # classes that our code inherits from must be the real ones
            return value if name in ("ILogger", "IProgressMonitor") else self._wrap(value, full)
        if callable(value):
            return lambda *args, **kwargs: self._call(value, full, args, kwargs)
        return self._wrap(value)

    def __setattr__(self, name: str, value: Any) -> None:
        self._notes.attributes.add(f"{self._owner}.{name}")
        setattr(self._real, name, _real(value))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self._real, f"{self._owner}.__init__", args, kwargs)

    def _call(self, function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._notes.calls.add(Call(name, len(args), tuple(sorted(kwargs))))
        return self._wrap(function(*map(_real, args), **{key: _real(value) for key, value in kwargs.items()}))

    def _wrap(self, value: Any, owner: str | None = None) -> Any:
        if isinstance(value, type):
            return Recorder(value, self._notes, owner or value.__name__)
        kind = type(value)
        plain = not kind.__module__.startswith("tensorrt") or hasattr(
            kind, "__members__"
        )  # a number or an enum's member
        return value if plain or kind.__name__ in _BUFFERS else Recorder(value, self._notes, owner or kind.__name__)


_BUFFERS = ("IHostMemory", "Dims")  #: read by their bytes or numbers, not by attributes


def _real(value: Any) -> Any:
    return vars(value)["_real"] if isinstance(value, Recorder) else value
