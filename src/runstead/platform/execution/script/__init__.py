"""JavaScript isolates in worker processes behind a narrow engine protocol."""
