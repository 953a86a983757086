"""Policies around any boto3 client or function."""
