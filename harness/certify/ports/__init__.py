"""A PyTorch module that a user wrote by hand, beside their Keras model: mapping, comparison, known mistakes."""
