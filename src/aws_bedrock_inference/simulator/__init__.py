"""A simulated Bedrock endpoint on this machine, with quotas and faults."""
