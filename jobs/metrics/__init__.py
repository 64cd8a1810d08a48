"""`/metrics` for Prometheus, read from the ledger: right with any number of processes and hosts."""
