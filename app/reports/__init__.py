"""Something is wrong with a photo: saying so, and what owners see of it. Whoever runs the server holds photos (`app/ops/holding.py`)."""
