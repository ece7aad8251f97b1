"""Which process runs which tests, where `make test` has several."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.turns import FIRST, LAST, turn

ALONE = "alone"  #: the scope of the tests that run when nothing else does


class ByFile(LoadScopeScheduling):
    """The tests of a file run in one process, since they share its fixtures. So do all tests of servers."""

    def _split_scope(self, nodeid: str) -> str:
        return {FIRST: "servers", LAST: ALONE}.get(turn(nodeid)) or nodeid.partition("::")[0]

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Give a process its next scope. For `ALONE` the last one waits until the others have ended."""
        if ALONE in self.workqueue:
            self.workqueue.move_to_end(ALONE)  # after a crash, what is left of another scope comes behind it
        others = [other for other in self.nodes if other is not node]
        if next(iter(self.workqueue)) != ALONE or not others:
            super()._assign_work_unit(node)
        elif not all(other.shutting_down for other in others):
            node.shutdown()  # it finishes what it has

    def remove_node(self, node: WorkerController) -> str | None:
        """A process has ended. One that waited for that goes on."""
        crashed = super().remove_node(node)
        if self.collection is not None:
            for left in self.nodes:
                self._reschedule(left)
        return crashed
