"""JSON Schema: compile, explain, lint. The only folder that names jsonschema_rs."""
