"""In-context learners as they run: attention layers built and trained, prompts sampled, populations enumerated."""
