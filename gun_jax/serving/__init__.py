"""The local web demo: a server that labels images, and its page."""
