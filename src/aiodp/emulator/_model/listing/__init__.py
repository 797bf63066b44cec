"""Lists of a pipeline's objects: their order, what finds them, and pages of them."""
