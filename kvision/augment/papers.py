"""The augmentations of the papers, with the parameters and the order of their sources."""

from collections.abc import Sequence

from kvision.augment import ranges
from kvision.augment.blur import GaussianBlur
from kvision.augment.color import ColorJitter, RandomGray
from kvision.augment.crop import RandomResizedCrop
from kvision.augment.view import View

__all__ = ["mae", "moco1", "moco2", "npid", "npid_plus_plus", "simclr", "simmim", "supervised", "swav"]

# The flip is part of the crop. A flip after the later steps would give the same result.


def simclr(
    size: int | Sequence[int], *, strength: float = 1.0, blur: bool = True, area: Sequence[float] = (0.08, 1.0)
) -> View:
    """Creates the augmentation of SimCLR.

    It crops and flips, jitters colors (probability 0.8, strengths 0.8, 0.8, 0.8 and 0.2 times `strength`), makes some
    images gray (probability 0.2) and blurs some images (probability 0.5). The defaults are those for images of 224
    pixels. For 32 pixels the paper uses `strength=0.5` and `blur=False` (appendix B.9). The crop is the bilinear crop
    of torchvision. The published code uses bicubic interpolation, and its crops cover at least a tenth of the image.

    Args:
        size: Height and width of the view in pixels, or one number for both.
        strength: Factor of the color jitter, in [0, 2.5].
        blur: Whether to blur.
        area: Range of the share of the image that a crop covers.

    Returns:
        The augmentation, a `kv.augment.View`.

    Raises:
        UserError: If an argument is out of its range.

    Example:
        >>> view = kv.augment.simclr(32, strength=0.5, blur=False)
        >>> tuple(view(np.zeros((2, 40, 40, 3), "uint8")).shape)
        (2, 32, 32, 3)

    References:
        Chen et al. 2020, arXiv 2002.05709, appendix A; google-research/simclr:tf2/data_util.py.
    """
    strength = ranges.number("strength", strength, 0.0, 2.5)  # The hue shifts by at most half a turn.
    jitter = ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength, probability=0.8)
    layers = [RandomResizedCrop(size, area=area), jitter, RandomGray(0.2)]
    return View([*layers, GaussianBlur(0.5)] if blur else layers, name="simclr")


def moco1(size: int | Sequence[int]) -> View:
    """Creates the augmentation of MoCo v1.

    It crops a share of 0.2 to 1 of the image and flips, makes some images gray (probability 0.2), and always jitters
    the colors (strength 0.4 for each change).

    Args:
        size: Height and width of the view in pixels, or one number for both.

    Returns:
        The augmentation, a `kv.augment.View`.

    References:
        He et al. 2020, arXiv 1911.05722, section 3.3; facebookresearch/moco:main_moco.py.
    """
    jitter = ColorJitter(0.4, 0.4, 0.4, 0.4)
    return View([RandomResizedCrop(size, area=(0.2, 1.0)), RandomGray(0.2), jitter], name="moco1")


def moco2(size: int | Sequence[int], *, blur: bool = True) -> View:
    """Creates the augmentation of MoCo v2.

    It crops a share of 0.2 to 1 of the image and flips, jitters colors (probability 0.8, strengths 0.4, 0.4, 0.4 and
    0.1), makes some images gray (probability 0.2) and blurs some images (probability 0.5). The published code blurs
    with Pillow, which does not cut off the kernel.

    Args:
        size: Height and width of the view in pixels, or one number for both.
        blur: Whether to blur, as the paper does for 224 pixels.

    Returns:
        The augmentation, a `kv.augment.View`.

    References:
        Chen et al. 2020, arXiv 2003.04297, section 3; facebookresearch/moco:main_moco.py, option --aug-plus.
    """
    jitter = ColorJitter(0.4, 0.4, 0.4, 0.1, probability=0.8)
    layers = [RandomResizedCrop(size, area=(0.2, 1.0)), jitter, RandomGray(0.2)]
    return View([*layers, GaussianBlur(0.5)] if blur else layers, name="moco2")


def npid(size: int | Sequence[int], *, flip: float = 0.5) -> View:
    """Creates the augmentation of NPID.

    It crops a share of 0.2 to 1 of the image and flips, makes some images gray (probability 0.2), and always jitters
    the colors (strength 0.4 for each change).

    Args:
        size: Height and width of the view in pixels, or one number for both.
        flip: Probability of a flip. It is 0 in the published script for CIFAR-10.

    Returns:
        The augmentation, a `kv.augment.View`.

    References:
        Wu et al. 2018, arXiv 1805.01978, section 4; zhirongw/lemniscate.pytorch:main.py and cifar.py.
    """
    crop = RandomResizedCrop(size, area=(0.2, 1.0), flip=flip)
    return View([crop, RandomGray(0.2), ColorJitter(0.4, 0.4, 0.4, 0.4)], name="npid")


def npid_plus_plus(size: int | Sequence[int]) -> View:
    """Creates the augmentation of NPID++.

    It jitters the colors of the whole image (strength 0.4 for each change), crops a share of 0.08 to 1 of the image,
    and flips.

    Args:
        size: Height and width of the view in pixels, or one number for both.

    Returns:
        The augmentation, a `kv.augment.View`.

    References:
        Misra & van der Maaten 2020, arXiv 1912.01991, section 4; facebookresearch/vissl:npid++_4nodes_resnet.
    """
    return View([ColorJitter(0.4, 0.4, 0.4, 0.4), RandomResizedCrop(size)], name="npid_plus_plus")


def swav(
    size: int | Sequence[int], *, area: Sequence[float] = (0.14, 1.0), strength: float = 1.0, blur: bool = True
) -> View:
    """Creates the augmentation of one view of SwAV.

    It is SimCLR's augmentation with a different area. Multi-crop is a `MultiView` of two views of 224 pixels with the
    area (0.14, 1) and six views of 96 pixels with (0.05, 0.14). Without the small views, the area in the paper is
    (0.08, 1). The published code blurs views of every size with a kernel of 23 pixels.

    Args:
        size: Height and width of the view in pixels, or one number for both.
        area: Range of the share of the image that a crop covers.
        strength: Factor of the color jitter, in [0, 2.5].
        blur: Whether to blur.

    Returns:
        The augmentation, a `kv.augment.View`.

    References:
        Caron et al. 2020, arXiv 2006.09882, section 4; facebookresearch/swav:multicropdataset.py.
    """
    return View(simclr(size, strength=strength, blur=blur, area=area).layers, name="swav")


def mae(size: int | Sequence[int]) -> View:
    """Creates the augmentation of MAE: a bicubic crop of 0.2 to 1 of the image, and a flip.

    Args:
        size: Height and width of the view in pixels, or one number for both.

    Returns:
        The augmentation, a `kv.augment.View`.

    References:
        He et al. 2021, arXiv 2111.06377, appendix A.1; facebookresearch/mae:main_pretrain.py.
    """
    return View([RandomResizedCrop(size, area=(0.2, 1.0), interpolation="bicubic")], name="mae")


def simmim(size: int | Sequence[int]) -> View:
    """Creates the augmentation of SimMIM: a crop of 0.67 to 1 of the image, and a flip.

    Args:
        size: Height and width of the view in pixels, or one number for both.

    Returns:
        The augmentation, a `kv.augment.View`.

    References:
        Xie et al. 2022, arXiv 2111.09886, section 4.1; microsoft/SimMIM:data/data_simmim.py.
    """
    return View([RandomResizedCrop(size, area=(0.67, 1.0))], name="simmim")


def supervised(size: int | Sequence[int]) -> View:
    """Creates the usual augmentation of ImageNet classifiers: a crop of 0.08 to 1 of the image, and a flip.

    Args:
        size: Height and width of the view in pixels, or one number for both.

    Returns:
        The augmentation, a `kv.augment.View`.

    References:
        Szegedy et al. 2015, arXiv 1409.4842, section 6, as in the reference script of torchvision.
    """
    return View([RandomResizedCrop(size)], name="supervised")
