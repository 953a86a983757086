"""Retries, quota and circuit breaking for any boto3 client or function."""
