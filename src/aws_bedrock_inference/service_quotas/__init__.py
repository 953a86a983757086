"""Read the quotas and the usage of an account from AWS, and request quota increases. Quotas come from Service Quotas,
and usage comes from CloudWatch.
"""
