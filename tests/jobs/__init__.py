"""Tests of the engine; they run on PostgreSQL and again on SQLite."""
