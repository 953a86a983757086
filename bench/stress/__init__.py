"""Long stress tests for problems that unit tests cannot reproduce often enough: forks, the garbage collector,
cancellation, servers that stop answering, truncated answers, failovers of a store, and kills of `bedrock run`.
"""
