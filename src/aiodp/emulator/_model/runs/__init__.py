"""How pipelines run: instances are made, tried, ended and run again."""
