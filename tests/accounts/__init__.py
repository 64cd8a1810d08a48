"""Tests of what people do with their accounts."""
