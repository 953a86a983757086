"""The Bedrock clients, blocking and asyncio."""
