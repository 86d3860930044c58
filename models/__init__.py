"""Models: the zoo and foreign Keras files, loaded, judged and brought to one form.

Importing this needs no TensorFlow: it is imported when a model is built or loaded.
"""
