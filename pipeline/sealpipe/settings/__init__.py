"""Typed settings of a service from its published configuration; the only folder that names pydantic."""
