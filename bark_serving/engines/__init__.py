"""Engines on disk: manifests, the store, and which engine runs on which machine."""
