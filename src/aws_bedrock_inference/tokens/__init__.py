"""Estimate the tokens of a call, and learn from the answers."""
