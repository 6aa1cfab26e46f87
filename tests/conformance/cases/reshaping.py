"""Cases of the reshaping layers."""

from tests.conformance.engine import Case

STEPS = ((6, 4),)
IMAGE = ((4, 5, 3),)
VOLUME = ((4, 5, 3, 2),)
FLOAT32 = "TensorFlow's resize kernel computes in float32 whatever the data's type"


def up2d(name, inputs, size, interpolation, certified=True):
    exactness = {"certified": True} if certified else {"tolerance": 2e-6, "reason": FLOAT32}
    return Case(f"up2d {interpolation} {name}", lambda layers: layers.UpSampling2D(size, interpolation=interpolation),
                inputs, **exactness)


CASES = (
    Case("flatten", lambda layers: layers.Flatten(), IMAGE),
    Case("flatten vectors", lambda layers: layers.Flatten(), ((4,),)),
    Case("flatten steps", lambda layers: layers.Flatten(), STEPS),
    Case("flatten masked", lambda layers: layers.Flatten(), STEPS, masked=(True,)),
    Case("reshape", lambda layers: layers.Reshape((5, 12)), IMAGE),
    Case("reshape with -1", lambda layers: layers.Reshape((-1, 6)), IMAGE),
    Case("reshape to vector", lambda layers: layers.Reshape((24,)), STEPS),
    Case("reshape to image", lambda layers: layers.Reshape((2, -1, 3)), STEPS),
    Case("permute", lambda layers: layers.Permute((2, 1)), STEPS),
    Case("permute images", lambda layers: layers.Permute((3, 1, 2)), IMAGE),
    Case("permute back", lambda layers: layers.Permute((2, 3, 1)), IMAGE),
    Case("permute nothing", lambda layers: layers.Permute([1, 2]), STEPS),
    Case("repeat", lambda layers: layers.RepeatVector(3), ((5,),)),
    Case("repeat 1", lambda layers: layers.RepeatVector(1), ((5,),)),
    Case("repeat 7", lambda layers: layers.RepeatVector(7), ((1,),)),
    Case("repeat 2", lambda layers: layers.RepeatVector(2), ((4,),)),
    Case("pad1d", lambda layers: layers.ZeroPadding1D(), STEPS),
    Case("pad1d 2", lambda layers: layers.ZeroPadding1D(2), STEPS),
    Case("pad1d uneven", lambda layers: layers.ZeroPadding1D((0, 3)), STEPS),
    Case("pad1d any length", lambda layers: layers.ZeroPadding1D((1, 2)), ((None, 3),)),
    Case("pad2d", lambda layers: layers.ZeroPadding2D(), IMAGE),
    Case("pad2d 3", lambda layers: layers.ZeroPadding2D(3), IMAGE),
    Case("pad2d uneven", lambda layers: layers.ZeroPadding2D((0, 2)), IMAGE),
    Case("pad2d four sides", lambda layers: layers.ZeroPadding2D(((0, 1), (2, 3))), IMAGE),
    Case("crop1d", lambda layers: layers.Cropping1D(), STEPS),
    Case("crop1d 2", lambda layers: layers.Cropping1D(2), STEPS),
    Case("crop1d uneven", lambda layers: layers.Cropping1D((0, 3)), STEPS),
    Case("crop1d start", lambda layers: layers.Cropping1D((2, 0)), STEPS),
    Case("crop2d", lambda layers: layers.Cropping2D(), IMAGE),
    Case("crop2d 1", lambda layers: layers.Cropping2D(1), IMAGE),
    Case("crop2d uneven", lambda layers: layers.Cropping2D((0, 2)), IMAGE),
    Case("crop2d four sides", lambda layers: layers.Cropping2D(((0, 1), (2, 1))), IMAGE),
    Case("up1d", lambda layers: layers.UpSampling1D(), STEPS),
    Case("up1d 1", lambda layers: layers.UpSampling1D(1), STEPS),
    Case("up1d 3", lambda layers: layers.UpSampling1D(3), STEPS),
    Case("up1d any length", lambda layers: layers.UpSampling1D(size=2), ((None, 3),)),
    Case("up2d nearest, stock", lambda layers: layers.UpSampling2D(), IMAGE),
    Case("up2d nearest uneven, stock", lambda layers: layers.UpSampling2D((3, 2)), IMAGE),
    up2d("x2", IMAGE, 2, "bilinear"),
    up2d("uneven", IMAGE, (3, 2), "bilinear"),
    up2d("x2", IMAGE, 2, "bicubic"),
    up2d("uneven", IMAGE, (5, 3), "bicubic"),
    up2d("stock", IMAGE, (2, 3), "bilinear", certified=False),
    up2d("stock", IMAGE, (2, 3), "bicubic", certified=False),
    up2d("stock x5", ((3, 7, 2),), 5, "bicubic", certified=False),
    up2d("any size", ((None, None, 2),), 2, "nearest"),
    Case("pad3d", lambda layers: layers.ZeroPadding3D(), VOLUME),
    Case("pad3d 2", lambda layers: layers.ZeroPadding3D(2), VOLUME),
    Case("pad3d uneven", lambda layers: layers.ZeroPadding3D((0, 2, 1)), VOLUME),
    Case("pad3d six sides", lambda layers: layers.ZeroPadding3D(((0, 1), (2, 3), (1, 0))), VOLUME),
    Case("pad3d any size", lambda layers: layers.ZeroPadding3D(1), ((None, 4, None, 2),)),
    Case("crop3d", lambda layers: layers.Cropping3D(), VOLUME),
    Case("crop3d 0", lambda layers: layers.Cropping3D(0), VOLUME),
    Case("crop3d uneven", lambda layers: layers.Cropping3D((0, 2, 1)), VOLUME),
    Case("crop3d six sides", lambda layers: layers.Cropping3D(((0, 1), (2, 1), (1, 0))), VOLUME),
    Case("crop3d starts", lambda layers: layers.Cropping3D(((1, 0), (2, 0), (1, 0))), VOLUME),
    Case("up3d", lambda layers: layers.UpSampling3D(), VOLUME),
    Case("up3d 1", lambda layers: layers.UpSampling3D(1), VOLUME),
    Case("up3d uneven", lambda layers: layers.UpSampling3D((3, 1, 2)), VOLUME),
    Case("up3d any size", lambda layers: layers.UpSampling3D(2), ((None, 4, None, 2),)),
)
