"""Flow control: what keeps jobs from beginning though they are due, decided where they are claimed.

claim, declared    limits
breakers           dependencies that fail: their jobs wait until a probe succeeds
"""
