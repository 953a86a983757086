"""Calls with the permissions of another account: roles and their credentials."""

from __future__ import annotations

from aws_bedrock_inference.accounts.roles import AssumedRole, session_for

__all__ = ["AssumedRole", "session_for"]
