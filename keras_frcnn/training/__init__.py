"""Training: recipes, schedules, callbacks."""
