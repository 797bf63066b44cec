"""What a pipeline definition says: its files, components, types, expressions and validation. Pure."""
