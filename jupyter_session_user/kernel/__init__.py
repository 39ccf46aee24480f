"""Inside the kernel: read the stamp, hold the context, speak the comm."""
