"""Shared by the end-to-end tests: daemons, connections, deadlines."""
