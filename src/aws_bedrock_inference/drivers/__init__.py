"""Drivers, which run flows (the plans of calls, see `flow`). A driver performs the actions that a flow requests, such
as a wait or a request to the service. There are three: a blocking driver, an asyncio driver, and a driver with virtual
time for tests.
"""
