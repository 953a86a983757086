"""Dead letters: failed requests are stored, explained, and sent again once."""

TABLE = "BedrockFailedRequests"
"""The table name in AWS's documentation."""
