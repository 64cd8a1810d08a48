"""Tests of the storage app, against a real SeaweedFS."""
