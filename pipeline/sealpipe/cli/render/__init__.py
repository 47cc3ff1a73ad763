"""Results as lines of text, one file a format."""
