"""What programs call: thin faces over the pipeline, a blocking and an asyncio one."""
