"""The gateway: OpenAI's speech interface, over HTTP, in front of Triton servers that serve Bark.

It reaches Triton through `bark_client` only. `python -m bark_gateway` and the command `bark-gateway` start it.
"""
