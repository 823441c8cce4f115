"""The hooks that git runs: arguments to a job to an exit code, and nothing else."""
