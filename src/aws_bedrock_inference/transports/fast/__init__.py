"""Faster equivalents of botocore's serializer, parser and signer. Tests check that their results are equal.

`bench/transport.py` measures whole calls with them.
"""
