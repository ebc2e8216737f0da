"""The live page: a server on one's own machine that labels what its page shows, and the page."""
