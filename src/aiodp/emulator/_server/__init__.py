"""What connects the model with sockets, threads, moto, files and people."""
