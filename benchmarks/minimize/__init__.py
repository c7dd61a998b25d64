"""How small the minimized cases of the detection corpus's mutants are, and how many kernel runs that took."""
