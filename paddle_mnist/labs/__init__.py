"""The labs: ``python -m paddle_mnist.labs`` lists them; their tools and exercises."""
