"""Commands that start by the clock."""
