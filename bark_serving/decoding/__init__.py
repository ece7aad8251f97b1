"""Autoregressive decoding of the semantic and coarse stages, many sequences at once."""
