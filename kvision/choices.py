"""Names that flags accept, so that commands can check them before Keras is imported."""

__all__ = [
    "BACKBONES",
    "COLOR_DECODERS",
    "COLOR_HEADS",
    "COLOR_STANDARDS",
    "ENGINES",
    "METHODS",
    "PIXEL_LOSSES",
    "PRECISIONS",
    "SCHEDULES",
    "SIZES",
    "STRATEGIES",
    "UPSCALINGS",
]

ENGINES = ("tflite", "tensorflow")  # the file of an exported version that predicts
STRATEGIES = ("auto", "single", "mirrored", "multiworker")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
PIXEL_LOSSES = ("cross_entropy", "focal", "dice", "lovasz")
UPSCALINGS = ("bilinear", "nearest", "transposed", "subpixel", "nails", "unpool")
COLOR_STANDARDS = ("bt601", "bt709", "bt2020")
COLOR_DECODERS = ("hypercolumn", "residual", "unet")
COLOR_HEADS = ("regression", "bins")
SIZES = ("small", "imagenet", "smoke")  # presets of self-supervised methods

# A test compares the names below with `kv.schedules.SCHEDULES`, `kv.selfsup.METHODS` and the zoo.
SCHEDULES = ("two_phase", "augmented", "fine_tune", "lp_ft", "gradual", "keras_guide", "bit")
METHODS = ("supervised", "npid", "npid_plus_plus", "moco", "moco_v2", "simclr", "swav", "mae", "simmim")
# Name of each backbone, with the smallest image side in pixels.
BACKBONES = {
    "AlexNet": 67,
    **dict.fromkeys(("EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2"), 32),
    "GoogLeNet": 32,
    **dict.fromkeys(("Plain20", "Plain56", "ResNet20", "ResNet56", "ResNet110"), 4),
    **dict.fromkeys(("ViTTiny16", "ViTSmall16"), 16),
    **dict.fromkeys(("CSPDarkNetTiny", "ResNet18V2", "ResNet34V2"), 32),
    **{f"ConvNeXt{size}": 32 for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    **{f"DenseNet{depth}": 32 for depth in (121, 169, 201)},
    **{f"EfficientNetB{number}": 32 for number in range(8)},
    **{f"EfficientNetV2{size}": 32 for size in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    "InceptionResNetV2": 75,
    "InceptionV3": 75,
    **dict.fromkeys(("MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small"), 32),
    **dict.fromkeys(("NASNetLarge", "NASNetMobile"), 32),
    **{f"ResNet{depth}": 32 for depth in (50, 101, 152)},
    **{f"ResNet{depth}V2": 32 for depth in (50, 101, 152)},
    **dict.fromkeys(("VGG16", "VGG19"), 32),
    "Xception": 71,
}
