"""A world in which the roads run step by step, without database, clock or threads."""
