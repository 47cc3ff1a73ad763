"""The run-time side without pydantic: snapshot, cache."""
