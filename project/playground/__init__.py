"""Development's playground, as `make up` has it: fifty jobs that do all that jobs can, and a worker to kill."""
