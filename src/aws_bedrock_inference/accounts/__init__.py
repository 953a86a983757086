"""Send calls with the permissions of another account. An `AssumedRole` describes a role, and AWS STS returns
temporary credentials for the role.
"""

from __future__ import annotations

from aws_bedrock_inference.accounts.roles import AssumedRole, session_for

__all__ = ["AssumedRole", "session_for"]
