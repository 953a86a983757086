"""Estimate the tokens of a call before it is sent, and improve later estimates with the usage that the service
reports.
"""
