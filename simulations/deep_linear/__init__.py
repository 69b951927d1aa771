"""Deep linear networks as they are: weight matrices trained by gradient descent and gradient flow."""
