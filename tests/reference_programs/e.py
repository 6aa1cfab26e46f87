"""Reference program (e): 784-128-64-10 without an input shape, five epochs."""

import os

from harness import keras

images = int(os.environ.get("REFERENCE_IMAGES", "60000"))
keras.utils.set_random_seed(4)

(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, y_train = x_train[:images].reshape(-1, 784) / 255.0, y_train[:images]
x_test, y_test = x_test[: images // 5].reshape(-1, 784) / 255.0, y_test[: images // 5]

model = keras.Sequential([
    keras.layers.Dense(128, activation="relu"),
    keras.layers.Dense(64, activation="relu"),
    keras.layers.Dense(10, activation="softmax"),
])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=5, verbose=0)

print("loss by epoch:", *(f"{loss:.4f}" for loss in history.history["loss"]))
predicted = model.predict(x_test, verbose=0).argmax(axis=1)
print(f"test accuracy {(predicted == y_test).mean():.4f}")
if hasattr(history, "comparison"):
    print(history.comparison)
