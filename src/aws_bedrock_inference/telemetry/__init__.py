"""Reports of all clients of a process: logs, metrics, traces, alerts."""
