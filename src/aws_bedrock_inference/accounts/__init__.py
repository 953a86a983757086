"""Calls of other accounts: roles, and the credentials that they give."""

from __future__ import annotations

from aws_bedrock_inference.accounts.roles import AssumedRole, session_for

__all__ = ["AssumedRole", "session_for"]
