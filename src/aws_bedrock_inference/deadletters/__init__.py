"""Dead letters: requests that failed permanently. A queue stores and explains them, and sends them again when the
cause is fixed.
"""

TABLE = "BedrockFailedRequests"
"""The name of the table in AWS's documentation."""
