"""Training: optimiser, state, step, start, signals, reports, and the loop."""
