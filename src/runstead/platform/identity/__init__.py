"""Who is asking, and the one permission check."""
