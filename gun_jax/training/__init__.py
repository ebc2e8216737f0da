"""Training: schedule, state, step, checkpoints, what is reported, and the loop."""
