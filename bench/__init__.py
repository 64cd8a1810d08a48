"""Measurements of throughput, latency, CPU and memory beside plain Celery: `python -m bench --help`."""
