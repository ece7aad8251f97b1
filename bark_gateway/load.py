"""How much speech is asked for and not yet made: what the choice of a server and the number of servers depend on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

LEAST_S: Final = 1.0  #: of speech that a request counts for at least, until it has ended
_FIRST_GUESS: Final = (1_000.0, 70.0)  #: characters and the seconds of their speech, before any text was spoken
_MEMORY_CHARACTERS: Final = 100_000.0  #: what was spoken longer ago counts less and less


class Pace:
    """How many seconds of speech a text will be, learnt from the texts that were spoken."""

    def __init__(self) -> None:
        self._characters, self._seconds = _FIRST_GUESS

    def seconds(self, characters: int) -> float:
        """What a text of this length is expected to take."""
        return characters * self._seconds / self._characters

    def learn(self, characters: int, seconds: float) -> None:
        """A text of this length had so many seconds."""
        self._characters += characters
        self._seconds += seconds
        if self._characters > _MEMORY_CHARACTERS:
            self._characters /= 2
            self._seconds /= 2


@dataclass(eq=False)
class Work:
    """One request. seconds: of speech that it is expected to have."""

    seconds: float = 0.0
    made: float = 0.0  #: seconds of its audio that have arrived
    heard_at: float = field(default_factory=time.monotonic)  #: when its last audio arrived, or it began

    @property
    def left(self) -> float:
        """Seconds of speech that are still to be made, as far as is known."""
        return max(LEAST_S, self.seconds - self.made)

    def heard(self, seconds: float) -> None:
        """Some audio has arrived."""
        self.made += seconds
        self.heard_at = time.monotonic()

    def again(self) -> None:
        """It begins anew, on another server."""
        self.made, self.heard_at = 0.0, time.monotonic()


class Load:
    """All requests of a gateway, those that wait too."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._works: set[Work] = set()

    @property
    def seconds(self) -> float:
        """Of speech that are asked for and not yet made."""
        return sum(work.left for work in self._works)

    @contextmanager
    def work(self, characters: int) -> Iterator[Work]:
        """Count a request while the block runs."""
        work = Work(self._pace.seconds(characters))
        self._works.add(work)
        try:
            yield work
        finally:
            self._works.discard(work)

    def spoke(self, characters: int, seconds: float) -> None:
        """A text was spoken to its end."""
        self._pace.learn(characters, seconds)
