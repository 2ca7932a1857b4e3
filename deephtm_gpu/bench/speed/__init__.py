"""How fast it is: whole online steps, what a step costs, and the same step elsewhere."""
