"""Store the answers of the policy `Cache`: the keys that distinguish requests, the format of a stored answer, and the
stores.
"""
