"""Answers that are kept: what tells requests apart, how an answer is written, and the stores that keep it."""
