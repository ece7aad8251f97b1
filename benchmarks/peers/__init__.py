"""Implementations of Bark by others, which our variants are compared with."""
