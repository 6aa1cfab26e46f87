"""The functions of keras.ops that a model cannot hold here, each with the reason."""

from __future__ import annotations

_DATA = "the size of its output depends on the data, which a graph of fixed shapes cannot hold"
_CODE = "it runs a Python function of your own, which only one framework could run"
_CONSTANT = "it makes a constant: give a number, nested lists or a NumPy array instead"
_COMPLEX = "complex numbers are not supported; fft, rfft and irfft take and give (real, imaginary)"
_FACTOR = "its factors are unique only up to signs or order, which the two frameworks choose differently"
_SAMPLING = "it samples images at places between pixels with a kernel that both frameworks have not alike"
_OUTSIDE = "it is for values outside of a graph"

REFUSED: dict[str, str] = {
    **dict.fromkeys(("nonzero", "unique", "bincount"), _DATA),
    **dict.fromkeys(("associative_scan", "cond", "custom_gradient", "fori_loop", "map", "scan", "switch", "vectorize",
                     "vectorized_map", "while_loop", "jvp"), _CODE),
    **dict.fromkeys(("arange", "array", "bartlett", "blackman", "empty", "eye", "full", "geomspace", "hamming",
                     "hanning", "identity", "kaiser", "linspace", "logspace", "ones", "tri", "zeros"), _CONSTANT),
    **dict.fromkeys(("angle", "imag", "polar", "real", "view_as_complex", "view_as_real"), _COMPLEX),
    **dict.fromkeys(("eig", "eigh", "lu_factor", "qr", "svd"), _FACTOR),
    **dict.fromkeys(("image.affine_transform", "image.elastic_transform", "image.map_coordinates",
                     "image.perspective_transform", "image.scale_and_translate"), _SAMPLING),
    **dict.fromkeys(("convert_to_numpy", "convert_to_tensor", "is_tensor", "dtype", "shape", "ndim", "size"),
                    _OUTSIDE + "; a symbolic tensor has .shape and .dtype"),
    **dict.fromkeys(("adaptive_average_pool", "adaptive_max_pool"),
                    "Keras states a wrong shape for it in a model; use the layers AdaptiveAveragePooling2D and "
                    "AdaptiveMaxPooling2D"),
    **dict.fromkeys(("gcd", "lcm", "isin", "kron", "nanmedian"),
                    "Keras's TensorFlow backend cannot compute it where the batch's size is open"),
    "argpartition": "the order inside of each part is not defined, and the two frameworks' differ",
    "cholesky_inverse": "its gradient is not defined alike; use cholesky and solve_triangular",
    "corrcoef": "it is a statistic over the batch; write it with mean, matmul and divide",
    "conv_transpose": "Keras's operation hands its arguments on in a wrong order; use the layer Conv2DTranspose",
    "correlate": "it is for signals outside of a batch; use conv",
    "ctc_decode": "its output has a length that depends on the data; decode the predictions with NumPy",
    "ctc_loss": "give the loss 'ctc' in compile; inside of a graph it is float32 alone",
    "fold": "Keras computes it in channels-first NumPy order; use image.extract_patches and reshape",
    "unfold": "it is channels first; use image.extract_patches",
    "histogram": "counts have no gradient, and its edges depend on the data",
    **dict.fromkeys(("image.rgb_to_hsv", "image.hsv_to_rgb"),
                    "TensorFlow's gradient of it is an approximation; convert the data beforehand"),
    "in_top_k": "TensorFlow's kernel takes float32 alone; use top_k and equal",
    "unravel_index": "Keras's TensorFlow backend counts the axes in the wrong order; use floor_divide and mod",
    "image.extract_patches_3d": "it is a convolution over volumes; use conv with a kernel of ones and zeros",
    "image.gaussian_blur": "its kernel is computed in float32 whatever the data's type; use conv with the kernel",
    "image.ssim": "its window is computed in float32 whatever the data's type; compute it in NumPy",
    "istft": "its window is inverted in float32; use irfft and scatter",
    "slice_update": "TensorFlow has no gradient of it; use concatenate or where",
    "slogdet": "Keras states a wrong shape for its sign in a model; use det or logdet",
    "stft": "use the layer STFTSpectrogram, or extract_sequences, multiply and rfft",
    "lstsq": "its gradient is defined only for full rank; use solve on the normal equations",
    "matrix_rank": "a rank is a count over singular values beside a tolerance, and has no gradient",
    "nanpercentile": "use percentile of nan_to_num",
    "nanquantile": "use quantile of nan_to_num",
    "pinv": "its gradient goes through singular vectors; use inv or solve",
    "rearrange": "Keras cannot tell its shape in a model whose batch is open; use reshape and transpose",
    "view": "it reads the bits of values as another type",
}
