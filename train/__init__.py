"""Train: recipes carried out on data; figures and cards of what was trained.

Importing this needs no TensorFlow: it is imported when a model is built or trained.
"""
