"""Stored answers: the keys that distinguish requests, the format of an answer, and the stores."""
