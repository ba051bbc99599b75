"""Structured logs, metrics, traces and health."""
