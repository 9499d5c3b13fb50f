"""What a model is asked: put together from the state of a conversation alone, within budgets, and explained."""
