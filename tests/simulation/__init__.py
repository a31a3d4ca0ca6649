"""A world in which the roads of guard.enforce run step by step, without database, clock or threads."""
