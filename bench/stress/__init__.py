"""Long trials for problems that tests cannot reproduce often enough: forks, the garbage collector, cancellation, dead
peers, truncated answers, failovers of a store, and kills of `bedrock run`.
"""
