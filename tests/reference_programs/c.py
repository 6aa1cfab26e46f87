"""Reference program (c): 784-128-64-10, ten epochs in batches of 32, then five more."""

import os

from harness import keras

images = int(os.environ.get("REFERENCE_IMAGES", "60000"))
keras.utils.set_random_seed(2)

(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, y_train = x_train[:images] / 255.0, y_train[:images]
x_test, y_test = x_test[: images // 5] / 255.0, y_test[: images // 5]

inputs = keras.Input(shape=(28, 28))
x = keras.layers.Flatten()(inputs)
x = keras.layers.Dense(128, activation="relu")(x)
x = keras.layers.Dense(64, activation="relu")(x)
outputs = keras.layers.Dense(10, activation="softmax")(x)
model = keras.Model(inputs, outputs)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

history = model.fit(x_train, y_train, epochs=10, batch_size=32, validation_split=0.1, verbose=0)
more = model.fit(x_train, y_train, epochs=5, batch_size=32, verbose=0)

print("loss by epoch:", *(f"{loss:.4f}" for loss in history.history["loss"] + more.history["loss"]))
print("test loss and accuracy:", *(f"{value:.4f}" for value in model.evaluate(x_test, y_test, verbose=0)))
for part in (history, more):
    if hasattr(part, "comparison"):
        print(part.comparison)
