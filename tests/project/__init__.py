"""Tests of settings, health, embedded parts and of the tests' own tools."""
