"""The order of a session's tests, and which of them share one process."""

from __future__ import annotations

#: Their tests share servers, or measure how long a server takes to come and go: one process runs all of them.
SERVERS = ("tests/system/", "tests/bark_serving/server/", "tests/docker/")
#: The longest file of those that may run beside them. Its servers have networks and memory of their own.
LONGEST = ("tests/docker/test_containers.py::",)
#: They break a server that has much to do, and take every core: they run at the very end, when nothing else does.
ALONE = ("tests/system/test_chaos.py::",)

FIRST, SECOND, MIDDLE, LAST = range(4)


def turn(nodeid: str) -> int:
    """What takes longest begins: the tests of the servers in one process, `LONGEST` in another."""
    if nodeid.startswith(ALONE):
        return LAST
    if nodeid.startswith(LONGEST):
        return SECOND
    return FIRST if nodeid.startswith(SERVERS) else MIDDLE
