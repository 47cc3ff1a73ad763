"""Commands under Start."""
