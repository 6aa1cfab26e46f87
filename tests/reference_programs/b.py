"""Reference program (b): 784-64-64-10 layer by layer, five epochs, then five more with validation data."""

import os

from harness import keras

images = int(os.environ.get("REFERENCE_IMAGES", "60000"))
keras.utils.set_random_seed(1)

(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, y_train = x_train[:images].reshape(-1, 784).astype("float32") / 255, y_train[:images]
x_test, y_test = x_test[: images // 5].reshape(-1, 784).astype("float32") / 255, y_test[: images // 5]

model = keras.models.Sequential()
model.add(keras.layers.Dense(64, activation="relu", input_shape=(784,)))
model.add(keras.layers.Dense(64, activation="relu"))
model.add(keras.layers.Dense(10, activation="softmax"))
model.compile(
    optimizer=keras.optimizers.Adam(learning_rate=0.001),
    loss=keras.losses.SparseCategoricalCrossentropy(),
    metrics=["accuracy"],
)

history = model.fit(x_train, y_train, epochs=5, verbose=0)
more = model.fit(x_train, y_train, epochs=5, validation_data=(x_test, y_test), verbose=0)

print("loss by epoch:", *(f"{loss:.4f}" for loss in history.history["loss"] + more.history["loss"]))
print("validation accuracy:", *(f"{value:.4f}" for value in more.history["val_accuracy"]))
for part in (history, more):
    if hasattr(part, "comparison"):
        print(part.comparison)
