"""The data that AWS lists: quotas by Service Quotas, usage by CloudWatch, requests for an increase."""
