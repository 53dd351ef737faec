"""Where bytes live. `port.py` says what every storage does; `sealed.py` wraps any of them."""
