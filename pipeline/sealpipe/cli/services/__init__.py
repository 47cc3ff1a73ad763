"""Commands under Services."""
