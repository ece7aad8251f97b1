"""The stages on torch: a GPU without engines, and the reference that engines are measured against.

Imported by the torch profile only; the rest of the serving side needs no torch.
"""
