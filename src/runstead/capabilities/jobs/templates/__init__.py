"""Named commands with typed parameters, which colleagues run without being able to run anything else."""
