"""Arithmetic about time and counts. Every rule takes `now` and returns a decision; none waits, sends or reads a
clock.
"""
