"""What runs: dispatch to the broker, execution in the pool, maintenance in the worker."""
