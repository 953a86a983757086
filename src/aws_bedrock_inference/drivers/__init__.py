"""Drivers, which perform the effects of flows: a blocking driver, an asyncio driver, and a driver with virtual time."""
