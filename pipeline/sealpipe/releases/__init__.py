"""What publisher and reader agree on: bytes, numbered checks, fetching."""
