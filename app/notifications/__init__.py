"""What is worth telling, and to whom: by mail and by push."""
