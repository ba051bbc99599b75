"""Supervised subprocesses: sandbox, limits, output, kill."""
