"""Dead letters: what failed is kept, explained, and done again once."""

TABLE = "BedrockFailedRequests"
"""The table that AWS's documents name."""
