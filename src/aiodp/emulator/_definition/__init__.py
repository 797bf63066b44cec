"""What a pipeline definition says: files, components, types, expressions, validation. Pure."""
