"""What the service does with definitions: a model without clock, I/O or threads. Pure."""
