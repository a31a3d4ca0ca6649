"""The guided tour and the two example holders, with their data."""
