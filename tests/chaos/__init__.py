"""The chaos suite: thousands of jobs under faults of every kind, and an account of each at the end.

    python -m tests.chaos --seconds 180 --seed 7 --broker valkey --database postgres

The plan of jobs and of faults follows from the seed. How they meet does not: processes race as they do.
"""
