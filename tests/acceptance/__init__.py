"""Tests with real worker processes, servers and signals."""
