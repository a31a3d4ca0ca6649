"""The register: who asked what about whom, for which purpose, on which basis, and what was decided."""
