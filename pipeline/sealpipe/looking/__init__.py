"""What people look at: where a value comes from, what differs, what is published."""
