"""What is checked without a key beside the schema: sealed values in their places, trust files."""
