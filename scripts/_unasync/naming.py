"""The prefix rule: is the ``a`` of ``aget`` a prefix, and is the ``a`` of ``add`` one?

A name passes if what is left without the ``a`` (after one leading underscore) can be a
name of its own:

1. it begins with a letter and is an identifier that isn't a keyword;
2. its first word (up to an underscore) can be spoken: it begins with a vowel, with one
   consonant and a vowel, or with a cluster that English words begin with, and a vowel. This
   refuses ``dd``, ``cquire``, ``ppend``, ``pply``, ``llocate``, ``ttach``, ``nalyze``: Latin's
   *ad-* doubles the consonant that follows it, which no English word begins with. Single
   letters and a few abbreviations (``ttl``) are let through;
3. the first word with its ``a`` isn't one of the verbs (and few other words) in which rule 2
   sees nothing wrong: ``abort``, ``avoid``, ``alert``, ``await``.

A name that the rule judges wrongly goes into the explicit table, which wins.
"""

from __future__ import annotations

import keyword
import re

_CLUSTERS = (
    "bl br ch chl chr cl cr dr dw fl fr gh gl gn gr kn ph phr pl pr ps qu rh sc sch scr sh shr"
    " sk sl sm sn sp sph spl spr squ st str sw th thr thw tr tw wh wr"
)
_SPEAKABLE = re.compile(rf"(?:[a-z]?|{_CLUSTERS.replace(' ', '|')})[aeiouy]")

_ABBREVIATIONS = frozenset({"db", "fsync", "mget", "mset", "pttl", "sql", "ttl"})

# Words with `a` whose rest could be spoken. Not here: what rule 2 refuses anyway, and `asleep`,
# which is asyncio's own name for its `sleep`.
_WORD_LIST = """
abandon abase abate abet abide abolish abort about above abridge abrogate abuse ache achieve
across adapt adopt adore again against age agitate agree ahead aid aim alarm alert alias align
alike alive alone along aloud amalgamate amass amaze amend amortize amount amuse an analyse
animate anonymize any apart api apologize arise around arouse as ascend ascertain ascribe ashore
aside aspire astonish async asyncio at atomic atomize atone audit augment auth authenticate author
authorise authorize auto automate avail available avenge average avert avoid await awake awaken
award away
"""
_WORDS = frozenset(_WORD_LIST.split())


def is_dunder(name: str) -> bool:
    """Say whether a name is Python's own, such as ``__aenter__``."""
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def blocking_name(name: str) -> str | None:
    """Return the blocking name of an async one, or None if it doesn't carry the prefix."""
    underscore, rest = ("_", name[1:]) if name.startswith("_") else ("", name)
    if not rest.startswith("a"):
        return None
    stripped = rest[1:]
    blocking = underscore + stripped
    if not stripped[:1].isalpha() or keyword.iskeyword(blocking):
        return None
    word = rest.lower().split("_")[0]
    if word in _WORDS or not _can_be_spoken(word[1:]):
        return None
    return blocking


def complaint(name: str) -> str:
    """Say what is wrong with the name of an ``async def``, and the remedy."""
    bare = name.lstrip("_")
    proposal = ("_" if name.startswith("_") else "") + "a" + bare
    if not bare.startswith("a"):
        return f"`async def {name}` lacks the prefix: name it `{proposal}`"
    blocking = name.replace("a", "", 1)
    if keyword.iskeyword(blocking) or not bare[1:2].isalpha():
        return f"`async def {name}`: its blocking name can't be `{blocking}`: choose another name"
    return (
        f"`async def {name}`: its `a` belongs to the word, for the blocking name would be"
        f" `{blocking}`: name it `{proposal}`, or if `{blocking}` is meant, enter it in EXPLICIT"
        " of scripts/run_unasync.py"
    )


def _can_be_spoken(word: str) -> bool:
    return len(word) == 1 or word in _ABBREVIATIONS or _SPEAKABLE.match(word) is not None
