"""What the shipped workflows need."""
