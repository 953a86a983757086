"""Batch runs: read a file of prompts, and write a file of answers. An interrupted run loses no answer, and never sends
an answered record again.
"""
