"""Finds classes whose labels a network has probably seen in its pre-training."""

import re
from collections.abc import Sequence

__all__ = ["seen_classes"]

# Everyday words that are ImageNet classes (ILSVRC 2012), or that have several ImageNet classes below them, such as
# breeds of dogs. It is a rule of thumb: the thousand classes have many more names.
_TEXT = """
accordion acorn aircraft airliner airplane airship alligator ambulance ant apple apron artichoke automobile backpack
bagel ball balloon banana bannister barrel basketball bassinet bathtub beacon beaver bee beetle bench bicycle
binoculars bird bison blackbird boat book bookcase bottle bowl box boxer bread bridge broccoli broom bucket buckle
buffalo bull bus butterfly cab cabbage camel camera candle canoe car castle cat cauliflower cello chain chair
chameleon cheeseburger cheetah chest chimpanzee church clock coat cobra cockroach collie computer coral corn couch
crab crane cricket crocodile crow cucumber cup curtain desk dish dog door dragonfly drum duck dumbbell eagle echidna
eel elephant envelope espresso face fan ferret fig finch fire fish flamingo flute fly fountain fox frog fungus gibbon
golf gondola goose gorilla gown grasshopper greenhouse grouse guitar hamster hammer hare harp hartebeest hat hay hen
hippopotamus hog horse hotdog hourglass husky hyena ibex iguana impala isopod jaguar jay jeans jeep jellyfish keyboard
kite knot koala ladle ladybug lamp laptop lemon lemur leopard library lighter lion lipstick lizard llama lobster
locomotive loudspeaker lynx macaw magpie mailbox mantis maraca marmot mask matchstick meerkat menu microphone
microscope microwave minibus minivan missile mitten mobile monarch monastery monitor monkey moped mortar mosque
mosquito mouse mousetrap mug mushroom nail nautilus newt notebook oboe ocarina orange orangutan orca organ ostrich
otter owl ox paintbrush palace panda parachute parrot partridge peacock pelican pen penguin piano pickup pier pillow
pineapple pitcher pizza plane plate plow polecat pomegranate poodle porcupine pot potato pretzel printer projector
puck purse quail quilt rabbit racket radiator radio ram refrigerator revolver rifle robin rooster rugby safe sandal
sandwich sax scabbard scale schooner scoreboard scorpion screen screw screwdriver seal shark sheep shield ship shoe
shovel skunk sloth slug snail snake snowmobile soap sock sofa spaceship sparrow spatula spider spoon squirrel starfish
stethoscope stork stove strainer strawberry submarine suit sunglasses swan swing syringe table tank taxi teapot teddy
telephone television tent terrier theater throne tiger toad toaster toilet toucan towel tractor train trailer tray
tricycle trombone truck turtle typewriter umbrella unicycle vacuum van vase vault violin volcano vulture wagon wallaby
wallet wardrobe warplane washer weasel whale whistle wig wolf wombat wool worm yacht yurt zebra zucchini
"""
_WORDS = frozenset(_TEXT.split())


def seen_classes(class_names: Sequence[str]) -> list[str]:
    """Finds the classes that a network with ImageNet weights has probably seen with labels.

    Few-shot figures of such classes are too good: they say little about classes that are really new.

    Args:
        class_names: Names of the classes in English.

    Returns:
        The names that contain an everyday word of an ImageNet class, in singular or plural. The list of words is not
        complete, and a word such as "crane" has several meanings. So read the result as a warning.

    Example:
        >>> kv.transfer.seen_classes(["trucks", "forest road", "tabby cat"])
        ['trucks', 'tabby cat']

    References:
        Triantafillou et al. 2020, arXiv 1903.03096, section 2 (why training and test classes must not overlap).
    """
    return [name for name in class_names if any(_known(word) for word in re.findall("[a-z]+", name.lower()))]


def _known(word: str) -> bool:
    return word in _WORDS or word.removesuffix("s") in _WORDS or word.removesuffix("es") in _WORDS
