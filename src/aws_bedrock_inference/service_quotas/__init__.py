"""Data that AWS lists: quotas from Service Quotas, usage from CloudWatch, requests for quota increases."""
