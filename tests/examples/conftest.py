from tests.client.conftest import client, connect, triton

__all__ = ["client", "connect", "triton"]
