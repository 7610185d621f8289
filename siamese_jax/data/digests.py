"""What the published drawings of Omniglot are, as digests of their pixels, and how others differ from them.

Copies of the archives are often zipped again or unpacked, so the digests are of the content. The digests of the eight
alphabets in SMALL are of archives with the published sha256. The others are of a copy that was zipped again; its
drawings are those of the small sets and of the released runs, wherever they overlap.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

DRAWERS, SIDE = 20, 105


class Alphabet(NamedTuple):
    """One published alphabet.

    Attributes:
      origin: "background" or "evaluation".
      first: the number of its first character; the others follow.
      characters: how many it has, each by 20 drawers.
      digest: of all its drawings; see `digest_of`.
    """

    origin: str
    first: int
    characters: int
    digest: str

    @property
    def numbers(self) -> range:
        """The numbers of its characters."""
        return range(self.first, self.first + self.characters)


ALPHABETS = {
    "Alphabet_of_the_Magi": Alphabet("background", 709, 20, "6deca05a5844acb553933c1919d588ac"),
    "Anglo-Saxon_Futhorc": Alphabet("background", 296, 29, "038afbcd708d8859187819a20e29f78c"),
    "Arcadian": Alphabet("background", 1, 26, "d098bbc8b4ec28d7bf8578e6a7813383"),
    "Armenian": Alphabet("background", 27, 41, "8898e8692c7bf2570f0e7af2441fbe34"),
    "Asomtavruli_(Georgian)": Alphabet("background", 68, 40, "492472be5796d6ab1b0c4a07d7e39377"),
    "Balinese": Alphabet("background", 108, 24, "4c0c27b95c099c5cf3e740545e69412f"),
    "Bengali": Alphabet("background", 132, 46, "8fb340858216fa4f003264711973d194"),
    "Blackfoot_(Canadian_Aboriginal_Syllabics)": Alphabet("background", 178, 14, "eed8e27452e8ba01bb2dc04486c76d26"),
    "Braille": Alphabet("background", 192, 26, "18849be2a89c6415f6cdb702c138f507"),
    "Burmese_(Myanmar)": Alphabet("background", 770, 34, "09d413d3a68f7a6cba355f5fa6c66210"),
    "Cyrillic": Alphabet("background", 218, 33, "78c86612ab76f35d88a4e04b89cf55b4"),
    "Early_Aramaic": Alphabet("background", 251, 22, "ab58dbd229e8eed4127c0b1c38075b2c"),
    "Futurama": Alphabet("background", 325, 26, "c7a644e72654bcc028c2d90d0bae4995"),
    "Grantha": Alphabet("background", 351, 43, "5208316d60b75d5296d2df44eb7f0c00"),
    "Greek": Alphabet("background", 394, 24, "a833da39b8793e9d614bc19a40baefac"),
    "Gujarati": Alphabet("background", 418, 48, "55d0c13eac0c018d80896ebb5979b2ee"),
    "Hebrew": Alphabet("background", 466, 22, "757c3f418ae51ee42e40f4e2ce6a98ad"),
    "Inuktitut_(Canadian_Aboriginal_Syllabics)": Alphabet("background", 540, 16, "54a0bb8110bfad4c5fbb4be8d7847060"),
    "Japanese_(hiragana)": Alphabet("background", 488, 52, "9cb47902619b6f1a780baa36336dcac6"),
    "Japanese_(katakana)": Alphabet("background", 596, 47, "c1896455d1af73d7071ceea07dd7e563"),
    "Korean": Alphabet("background", 643, 40, "16c60de3e34d2d7f8d8063b66b0eec35"),
    "Latin": Alphabet("background", 683, 26, "1d4aaa9578e48c62a7be57ea8d41c5b9"),
    "Malay_(Jawi_-_Arabic)": Alphabet("background", 556, 40, "0c7e6d683ff0e838b885b87c26f7013e"),
    "Mkhedruli_(Georgian)": Alphabet("background", 729, 41, "19bd9e088043e83a676596bbe4fc6c05"),
    "N_Ko": Alphabet("background", 804, 33, "6f82b9d41c123884fce4b53c0d13a5ca"),
    "Ojibwe_(Canadian_Aboriginal_Syllabics)": Alphabet("background", 837, 14, "1b721f41dfc664a8b383b183bebf2eb3"),
    "Sanskrit": Alphabet("background", 851, 42, "f214fa61dc5344bf99ee3d97662f7874"),
    "Syriac_(Estrangelo)": Alphabet("background", 273, 23, "84a583108d60909ce95094ff7eb2d335"),
    "Tagalog": Alphabet("background", 893, 17, "a4a5c6412828eddc62cb7b3a2ae98bad"),
    "Tifinagh": Alphabet("background", 910, 55, "f35f0dbc4df02c2513d9f0ee3b6a2861"),
    "Angelic": Alphabet("evaluation", 965, 20, "4f4ce2f47b47fcbe067f67c0ffdccd67"),
    "Atemayar_Qelisayer": Alphabet("evaluation", 985, 26, "90eefd1e6da477dbcba766da63953193"),
    "Atlantean": Alphabet("evaluation", 1011, 26, "d36f33169b3e07bcf7c07084e710af53"),
    "Aurek-Besh": Alphabet("evaluation", 1037, 26, "598cc937c80d3476e79008deca698217"),
    "Avesta": Alphabet("evaluation", 1063, 26, "c789920751ea44f1c336e46c82fb8deb"),
    "Ge_ez": Alphabet("evaluation", 1089, 26, "3fa9d2d313ece442d38426031e80f97e"),
    "Glagolitic": Alphabet("evaluation", 1115, 45, "fe9a1763be652b0a6461517b25d187c1"),
    "Gurmukhi": Alphabet("evaluation", 1160, 45, "08ec1ed0c5806b4e66c4fe365a2bb359"),
    "Kannada": Alphabet("evaluation", 1205, 41, "d51a83495afdfabb003cd305f66d3ba9"),
    "Keble": Alphabet("evaluation", 1246, 26, "09851447fb6446ccb526f9f8a9e689a8"),
    "Malayalam": Alphabet("evaluation", 1272, 47, "9464e2be9976b17221634ec99af104ce"),
    "Manipuri": Alphabet("evaluation", 1319, 40, "526d1ea3e9fb420638a49cc24a906255"),
    "Mongolian": Alphabet("evaluation", 1359, 30, "b0316caa7be32c07c323eb1cd2793ba2"),
    "Old_Church_Slavonic_(Cyrillic)": Alphabet("evaluation", 1389, 45, "0704ab18b0a72f7cadc969ff0f25a99c"),
    "Oriya": Alphabet("evaluation", 1434, 46, "d73963ee5c486a47dc4f27020035ff52"),
    "Sylheti": Alphabet("evaluation", 1503, 28, "e23d0f865a8d94b81d8d1cf7b08a0b05"),
    "Syriac_(Serto)": Alphabet("evaluation", 1480, 23, "056d9eaf114d17acbf0cbda5d27586a0"),
    "Tengwar": Alphabet("evaluation", 1531, 25, "ccbeb07056cb61d5b6f8db0ebf48e9a9"),
    "Tibetan": Alphabet("evaluation", 1556, 42, "75491a4153ffee8896a6b103f6cf04ee"),
    "ULOG": Alphabet("evaluation", 1598, 26, "341e62979d5e801a554e05989443af9f"),
}
"""The 50 alphabets by name."""

SMALL = {
    "background_small1": ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"),
    "background_small2": ("Greek", "Japanese_(katakana)", "Latin", "Sanskrit", "Tagalog"),
}
"""The alphabets of Lake's two small background sets. Their drawings are those of the background."""

RUNS = "605e0edbfad2ea725b45b7e389ba8fae"
"""Of the 20 released runs: the digest of the support, query and answer of each, as int32, in order."""


def digest_of(parts: Iterable[bytes]) -> str:
    """Return the digest of bytes in order: the first 32 hexadecimal digits of their SHA-256.

    For an alphabet, each part is one character in order of number: np.packbits of its ink [20, 105, 105].
    """
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:32]


def difference(name: str, packed: Sequence[bytes]) -> str | None:
    """Return how the drawings of an alphabet differ from the published ones; None if they do not.

    Args:
      name: of the alphabet, one of ALPHABETS.
      packed: each character as `digest_of` takes it.
    """
    found = digest_of(packed)
    if found == ALPHABETS[name].digest:
        return None
    for other, published in ALPHABETS.items():
        if found == published.digest:
            return f"{name} has the drawings of {other}"
    for number, character in zip(ALPHABETS[name].numbers, packed, strict=True):
        ink = np.unpackbits(np.frombuffer(character, np.uint8), count=DRAWERS * SIDE * SIDE).reshape(DRAWERS, -1)
        for drawer, share in enumerate(ink.mean(1).tolist(), start=1):
            if share in (0, 1):
                return f"in {name}, character {number} by drawer {drawer} is blank"
            if share > 0.5:
                return f"in {name}, character {number} by drawer {drawer} is inverted: its ink and paper are swapped"
    return f"the drawings of {name} are not the published ones"
