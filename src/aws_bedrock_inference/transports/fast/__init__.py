"""Faster equivalents of botocore's serializer, parser and signer. Tests check that they return the same results as
botocore.

`bench/transport.py` measures the time of complete calls that use these equivalents.
"""
