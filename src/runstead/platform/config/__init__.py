"""File, environment and flags become frozen settings; every error names file, line, column and field."""
