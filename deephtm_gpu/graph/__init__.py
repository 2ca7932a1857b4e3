"""The graph that people compose: nodes, networks, the forms of values, and clocks. Knows neither layers nor plans."""
