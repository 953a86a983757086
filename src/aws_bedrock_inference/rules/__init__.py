"""The rules behind the policies, as pure computations on times and counts. Every rule receives the current time as
`now` and returns a decision. No rule waits, sends a request or reads a clock.
"""
