"""Running what is not ours: `process` for programs, `script` for JavaScript."""
