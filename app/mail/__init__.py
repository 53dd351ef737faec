"""A message is built (pure), sent (SMTP), or kept (tests)."""
