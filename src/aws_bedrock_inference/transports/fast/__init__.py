"""Faster equals of botocore's serializer, parser and signer, each held equal to it by tests.

`bench/transport.py` measures whole calls with them.
"""
