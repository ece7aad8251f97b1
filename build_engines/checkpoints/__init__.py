"""Checkpoints as people have them → bundles."""
