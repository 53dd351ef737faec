"""What guests say about photos: a heart, a note, a few seconds of their voice."""
