"""Adapters between Triton's Python backend and the rest of `bark_serving`; imported by ``model.py`` files only."""
