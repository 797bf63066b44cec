"""Copies data between S3 and SQL databases, and runs SQL, as AWS's Task Runner does."""
