"""Use Amazon Bedrock without being hurt by its errors."""

__version__ = "0.1.0"
