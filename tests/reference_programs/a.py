"""Reference program (a): 784-64-64-10, five epochs, then fine-tuned for ten on the validation set."""

import os

from harness import keras

images = int(os.environ.get("REFERENCE_IMAGES", "60000"))
keras.utils.set_random_seed(0)

(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, y_train = x_train[:images].reshape(-1, 784) / 255.0, y_train[:images]
x_test, y_test = x_test[: images // 5].reshape(-1, 784) / 255.0, y_test[: images // 5]
cut = len(x_train) * 4 // 5
x_val, y_val = x_train[cut:], y_train[cut:]
x_train, y_train = x_train[:cut], y_train[:cut]

model = keras.Sequential([
    keras.layers.Dense(64, activation="relu", input_shape=(784,)),
    keras.layers.Dense(64, activation="relu"),
    keras.layers.Dense(10, activation="softmax"),
])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.summary()

history = model.fit(x_train, y_train, epochs=5, verbose=0)
finetuning = model.fit(x_val, y_val, epochs=10, verbose=0)

print("loss by epoch:", *(f"{loss:.4f}" for loss in history.history["loss"] + finetuning.history["loss"]))
test_loss, test_accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test loss {test_loss:.4f}, test accuracy {test_accuracy:.4f}")
for part in (history, finetuning):
    if hasattr(part, "comparison"):
        print(part.comparison)
