"""Estimate what a call costs in tokens, and learn from the answers."""
