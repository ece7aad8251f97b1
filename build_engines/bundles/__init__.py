"""Bundles: writing and checking them, and making one of random weights."""
