"""`evaluate.py --report`: one HTML page that shows where a network fails; it loads nothing from elsewhere."""
