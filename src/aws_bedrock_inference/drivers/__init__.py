"""Perform the effects of flows: blocking, asyncio, and virtual time."""
