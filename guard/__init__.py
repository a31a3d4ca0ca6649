"""guard: no program of a data holder touches personal data outside the law."""
