"""The process and its surroundings: other processes, memory, caches, files."""
