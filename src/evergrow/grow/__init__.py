"""A larger model that starts where the smaller one stopped: operators on weights and their plan."""
