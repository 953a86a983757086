"""Long trials of what tests can only touch: forks, the garbage collector, cancellation, dead peers, torn answers,
failovers of a store, and kills of `bedrock run`.
"""
