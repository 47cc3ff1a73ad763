"""Changes to the repository: repository in, repository out."""
