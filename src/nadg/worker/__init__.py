"""A worker node: takes attempts over links and HTTP, and runs them in its sandbox."""
