"""The Jupyter Server extension: stamps messages, answers kernels, serves REST."""
