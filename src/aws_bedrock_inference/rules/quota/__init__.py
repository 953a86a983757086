"""The rules of a quota: its limits, the queue of calls, their admission, and the leases of a shared quota."""
