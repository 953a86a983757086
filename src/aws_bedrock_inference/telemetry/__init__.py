"""What is reported of all clients of a process: logs, metrics, traces, alerts."""
