"""The seam to botocore: the only place that knows it."""
