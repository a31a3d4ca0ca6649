"""What is kept beside the guarded tables: consents and grants, withdrawals, notices, person keys, reviews."""
