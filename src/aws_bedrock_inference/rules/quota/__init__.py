"""The quota rules: admission, limits, learning, queue, and leases of a shared quota."""
