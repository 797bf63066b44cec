"""The objects of a pipeline as clients ask for them: their order, what finds them, and pages."""
