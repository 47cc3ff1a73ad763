"""The run-time side with pydantic. The only folder that names pydantic."""
