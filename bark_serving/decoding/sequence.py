"""One sequence of the decode loop: what is requested, what has been generated, and its state."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from bark_serving.arrays import Floats, Ids
from bark_serving.decoding import sampling
from bark_serving.decoding.sampling import Sampling
from bark_serving.errors import StageFailed


@dataclass(frozen=True)
class Generation:
    """A request for one sequence."""

    prompt: Floats  #: [n, width] sums of token embeddings
    ids: Ids  #: the prompt's ids: the rule reads the last one, a continuation is compared with all of them
    max_tokens: int
    sampling: Sampling
    min_eos_p: float = 1.1  #: speech ends where the end token is this probable; above 1: only where it is sampled
    request_id: str = ""
    due: float = 0.0  #: waiting sequences get rows in this order; the caller's clock, since it is only compared
    first_step: int = 0  #: the step that the first token is drawn for: the tokens that a sequence in slices has already
    hold: bool = False  #: at the end, keep the row for a generation of the same request id that continues this one


class State(Enum):
    """Where a sequence is. A RUNNING sequence may be HELD; all end FINISHED."""

    WAITING = auto()  #: has no row yet
    RUNNING = auto()  #: has a row and gets one token per decode step
    HELD = auto()  #: is answered; its row is reserved for its continuation
    FINISHED = auto()  #: is answered; its row, if it has one, is free


@dataclass(eq=False)
class Sequence:
    """A generation on its way. ``answer`` gets the tokens, without the end token, or `StageFailed`."""

    generation: Generation
    answer: Future[Ids] = field(default_factory=Future)
    state: State = State.WAITING
    tokens: list[int] = field(default_factory=list)
    length: int = 0  #: positions in the KV cache
    held_until: float = 0.0  #: of a HELD sequence, by the clock of `time.monotonic`
    #: One uniform per step, plus one: a HELD row is still in the batch, and its sample is discarded.
    uniforms: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        first = self.generation.first_step
        numbers = sampling.step_uniforms(self.generation.sampling.seed, first + self.generation.max_tokens + 1)
        self.uniforms = numbers[first:]

    @property
    def last_token(self) -> int:
        """The token that the next decode step feeds."""
        return self.tokens[-1] if self.tokens else int(self.generation.ids[-1])

    def is_continued_by(self, generation: Generation) -> bool:
        """Whether a prompt equals this prompt and its tokens. The cache then holds all of it but the last token."""
        return len(generation.ids) == self.length + 1 and np.array_equal(
            generation.ids, np.concatenate([self.generation.ids, self.tokens])
        )

    def hold(self, until: float) -> None:
        """Answer, and keep the row until then."""
        self.state, self.held_until = State.HELD, until
        self._answer()

    def finish(self) -> None:
        """Answer with the tokens so far, unless that has been done, and free the row."""
        self.state = State.FINISHED
        if not self.answer.done():
            self._answer()

    def fail(self, reason: str) -> None:
        """Free the row, and raise `StageFailed` where the tokens are waited for."""
        self.state = State.FINISHED
        if not self.answer.done():
            self.answer.set_exception(StageFailed(reason))

    def _answer(self) -> None:
        self.answer.set_result(np.array(self.tokens, np.int32))
