"""In-context learners in closed form: one step of gradient descent, linear attention trained, Newton iterations."""
