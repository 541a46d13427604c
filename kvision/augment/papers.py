"""The augmentations of the papers: each function makes one view, with the parameters and the order of its source."""

from collections.abc import Sequence

from kvision.augment import ranges
from kvision.augment.blur import GaussianBlur
from kvision.augment.color import ColorJitter, RandomGray
from kvision.augment.crop import RandomResizedCrop
from kvision.augment.view import View

__all__ = ["mae", "moco1", "moco2", "npid", "npid_plus_plus", "simclr", "simmim", "supervised", "swav"]

# A flip commutes with all that follows it here, so it is always part of the crop.


def simclr(
    size: int | Sequence[int], *, strength: float = 1.0, blur: bool = True, area: Sequence[float] = (0.08, 1.0)
) -> View:
    """SimCLR (Chen et al. 2020, arXiv 2002.05709, appendix A; google-research/simclr:tf2/data_util.py).

    Crop, flip, jitter (probability 0.8; 0.8, 0.8, 0.8, 0.2 times strength), gray 0.2, blur 0.5.
    size: of the view. The defaults are those for 224 pixels; for 32 the paper has strength=0.5, blur=False (appendix
    B.9). Here the crop is torchvision's, bilinear: that code resizes bicubically, and the least area is a tenth in it.
    """
    strength = ranges.number("strength", strength, 0.0, 2.5)  # hue turns by half the circle at most
    jitter = ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength, probability=0.8)
    layers = [RandomResizedCrop(size, area=area), jitter, RandomGray(0.2)]
    return View([*layers, GaussianBlur(0.5)] if blur else layers, name="simclr")


def moco1(size: int | Sequence[int]) -> View:
    """MoCo (He et al. 2020, arXiv 1911.05722, section 3.3; facebookresearch/moco:main_moco.py).

    Crop of area 0.2 to 1, gray 0.2, then jitter of 0.4 each, always; flip. size: of the view.
    """
    jitter = ColorJitter(0.4, 0.4, 0.4, 0.4)
    return View([RandomResizedCrop(size, area=(0.2, 1.0)), RandomGray(0.2), jitter], name="moco1")


def moco2(size: int | Sequence[int], *, blur: bool = True) -> View:
    """MoCo v2 (Chen et al. 2020, arXiv 2003.04297, section 3; facebookresearch/moco:main_moco.py --aug-plus).

    Crop of area 0.2 to 1, jitter (probability 0.8; 0.4, 0.4, 0.4, 0.1), gray 0.2, blur 0.5; flip. size: of the view.
    blur: the paper's for 224 pixels. That code blurs with Pillow, whose kernel is not cut off.
    """
    jitter = ColorJitter(0.4, 0.4, 0.4, 0.1, probability=0.8)
    layers = [RandomResizedCrop(size, area=(0.2, 1.0)), jitter, RandomGray(0.2)]
    return View([*layers, GaussianBlur(0.5)] if blur else layers, name="moco2")


def npid(size: int | Sequence[int], *, flip: float = 0.5) -> View:
    """NPID (Wu et al. 2018, arXiv 1805.01978, section 4; zhirongw/lemniscate.pytorch:main.py, cifar.py).

    Crop of area 0.2 to 1, gray 0.2, then jitter of 0.4 each, always. size: of the view. flip: probability, 0 in
    cifar.py.
    """
    crop = RandomResizedCrop(size, area=(0.2, 1.0), flip=flip)
    return View([crop, RandomGray(0.2), ColorJitter(0.4, 0.4, 0.4, 0.4)], name="npid")


def npid_plus_plus(size: int | Sequence[int]) -> View:
    """NPID++ (Misra & van der Maaten 2020, arXiv 1912.01991, section 4; facebookresearch/vissl:npid++_4nodes_resnet).

    Jitter of 0.4 each, always, of the whole image, then a crop of area 0.08 to 1, and a flip.

    Args:
        size: Height and width of the view in pixels, or one number for both.

    Returns:
        The view.
    """
    return View([ColorJitter(0.4, 0.4, 0.4, 0.4), RandomResizedCrop(size)], name="npid_plus_plus")


def swav(
    size: int | Sequence[int], *, area: Sequence[float] = (0.14, 1.0), strength: float = 1.0, blur: bool = True
) -> View:
    """One crop of SwAV (Caron et al. 2020, arXiv 2006.09882, section 4; facebookresearch/swav:multicropdataset.py).

    SimCLR's view with its own area; the multi-crop is a `MultiView` of 2 x 224 pixels with area (0.14, 1) and
    6 x 96 with (0.05, 0.14); without small crops the area is (0.08, 1). size: of the view.
    That code blurs crops of every size with a kernel of 23 pixels.
    """
    return View(simclr(size, strength=strength, blur=blur, area=area).layers, name="swav")


def mae(size: int | Sequence[int]) -> View:
    """MAE (He et al. 2021, arXiv 2111.06377, appendix A.1; facebookresearch/mae:main_pretrain.py).

    Crop of area 0.2 to 1, bicubic; flip. size: of the view.
    """
    return View([RandomResizedCrop(size, area=(0.2, 1.0), interpolation="bicubic")], name="mae")


def simmim(size: int | Sequence[int]) -> View:
    """SimMIM (Xie et al. 2022, arXiv 2111.09886, section 4.1; microsoft/SimMIM:data/data_simmim.py).

    Crop of area 0.67 to 1; flip. size: of the view.
    """
    return View([RandomResizedCrop(size, area=(0.67, 1.0))], name="simmim")


def supervised(size: int | Sequence[int]) -> View:
    """Crop of area 0.08 to 1, flip: what ImageNet classifiers train with (Szegedy et al. 2015, arXiv 1409.4842,
    section 6, as in torchvision's reference). size: of the view."""
    return View([RandomResizedCrop(size)], name="supervised")
