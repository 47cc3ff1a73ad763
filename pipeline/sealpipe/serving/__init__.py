"""A program with its configuration on a laptop: `dev` and `run`."""
