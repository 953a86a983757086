"""Reports about all clients of a process: logs, metrics, traces, alerts."""
