"""A user's own module in the place of the network that the harness builds."""
