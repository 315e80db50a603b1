"""Adapters for tests: each passes the contract of its port, and nothing of them ships."""
