"""Faster equals of botocore's own serializer, parser and signer, each held equal to it by tests.

They save about half of a call's processor time; `bench/transport.py` measures it.
"""
