"""What connects the model with sockets, threads, moto, the state file and the control paths."""
