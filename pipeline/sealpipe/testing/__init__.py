"""Helpers shipped to users: a store in memory, the store contract, published settings."""
