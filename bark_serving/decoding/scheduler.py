"""Which sequence has which row. It knows no network, no thread and no clock, so that tests need none either."""

from __future__ import annotations

from bisect import insort

from bark_serving.decoding.sequence import Sequence, State


class Scheduler:
    """Gives ``rows`` rows to the sequences that are due first; to equal ones in their order of arrival.

    ``batch`` holds the sequences that have a row; a sequence's index is its row. So a decode step works on one
    contiguous block of rows: `remove_finished` moves the last rows into the gaps.

    A window of the coarse stage often begins with all ids of the window before it. So a sequence may ask to be HELD:
    it stays in its row until its continuation arrives, which then needs no prefill. No other sequence ever takes a
    held row. So whether a cache is reused, and with it every rounding, depends on the request and not on the load.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.batch: list[Sequence] = []
        self.waiting: list[Sequence] = []

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait for a row."""
        insort(self.waiting, sequence, key=lambda one: one.generation.due)

    def stop(self, request_id: str) -> None:
        """End every sequence of a request; each answers with its tokens so far."""
        for sequence in self.batch + self.waiting:
            if sequence.generation.request_id == request_id and sequence.state is not State.FINISHED:
                sequence.finish()
        self.waiting = [sequence for sequence in self.waiting if sequence.state is State.WAITING]

    def expire(self, now: float) -> None:
        """Give up held rows whose time is over: their clients have gone."""
        for sequence in self.batch:
            if sequence.state is State.HELD and sequence.held_until < now:
                sequence.finish()

    def fail(self, reason: str) -> None:
        """Fail every sequence that has a row."""
        for sequence in self.batch:
            sequence.fail(reason)
        self.batch.clear()

    def idle_s(self, now: float) -> float | None:
        """How long there is nothing to do: 0 if there is work, None until a message arrives."""
        if any(sequence.state is not State.HELD for sequence in self.batch):
            return 0.0
        if any(self._row_for(sequence) < self.rows for sequence in self.waiting):
            return 0.0
        if not self.batch:
            return None
        return max(0.0, min(sequence.held_until for sequence in self.batch) - now)

    def remove_finished(self) -> list[tuple[int, int]]:
        """Drop finished sequences from the batch. Returns the moves (from row, to row) that close their gaps.

        No row is moved twice: every gap gets the last row that goes on.
        """
        moves = []
        for row in range(len(self.batch)):
            while self.batch and self.batch[-1].state is State.FINISHED:
                self.batch.pop()
            if row < len(self.batch) and self.batch[row].state is State.FINISHED:
                self.batch[row] = self.batch.pop()
                moves.append((len(self.batch), row))
        return moves

    def schedule(self) -> int | None:
        """Give rows to waiting sequences: to every continuation, and to at most one that needs a prefill.

        At most one, since all running sequences wait for a prefill. Returns the row to prefill.
        """
        waiting, self.waiting = self.waiting, []
        row_to_prefill = None
        for sequence in waiting:
            row = self._row_for(sequence)
            held = self.batch[row] if row < len(self.batch) else None
            if held is not None and held.is_continued_by(sequence.generation):
                sequence.length = held.length
                self._place(row, sequence)
            elif row < self.rows and row_to_prefill is None:
                self._place(row, sequence)
                row_to_prefill = row
            else:
                self.waiting.append(sequence)
        return row_to_prefill

    def _row_for(self, sequence: Sequence) -> int:
        """The row that is held for a sequence, else the first free row: `rows` or more if there is none."""
        for row, other in enumerate(self.batch):
            if other.state is State.HELD and other.generation.request_id == sequence.generation.request_id:
                return row
        return len(self.batch)

    def _place(self, row: int, sequence: Sequence) -> None:
        for replaced in self.batch[row : row + 1]:
            replaced.finish()
        sequence.state = State.RUNNING
        self.batch[row : row + 1] = [sequence]
