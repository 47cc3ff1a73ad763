"""sealpipe: configuration from a pull request to a running service."""
