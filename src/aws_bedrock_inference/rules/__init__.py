"""Arithmetic on time and counts. Every rule receives `now` and returns a decision. No rule waits, sends or reads a
clock.
"""
