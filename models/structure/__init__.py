"""What is known of a Keras model: its layers, their cost, their names, and how it ends."""
