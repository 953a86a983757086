"""Readers of each model family's bodies, without I/O."""
