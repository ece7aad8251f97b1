"""Checkpoints as people have them → bundles: one file a format, each with the table of its tensor names."""
