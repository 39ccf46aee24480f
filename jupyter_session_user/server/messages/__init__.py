"""Messages between clients, the server and kernels: stamps, checks and answers them."""
