"""Drivers, which run flows (the plans of calls, see `flow`) and perform their effects: a blocking driver, an asyncio
driver, and a driver with virtual time for tests.
"""
