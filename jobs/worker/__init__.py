"""What runs: dispatch to the broker, execution in the pool, housekeeping in the worker."""
