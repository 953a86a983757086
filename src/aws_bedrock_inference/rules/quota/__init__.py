"""The quota rules: admission, limits, queue, and leases of a shared quota."""
