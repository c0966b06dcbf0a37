"""Every refusal of the generator says where, what, and the remedy, and writes nothing."""

from __future__ import annotations

import pytest

OPS = "src/symphra_cache/_async/ops.py"
TWIN = "src/symphra_cache/_sync/ops.py"
MARKER = "# Source of the blocking twin: edit here, then run scripts/run_unasync.py."

UNPREFIXED = """
add acquire append apply assert_free attach answer ask allocate abort avoid alert await_all
adapt ack activate audit _add _acquire add_all as_dict at_exit
"""
PREFIXED = """
aadd aacquire aappend aapply aabort aget aset adelete aexists atouch attl aincr adecr apop ascan
aclear aclose acount aping aflush awrite acheck astats asweep aspawn athrow aget_many aset_many
amget aquit apublish apsubscribe aunlock aexpire aevict awarm ayield_to asleep aload _aload
_aadd _ascan_all afsync aX ax
"""
FALSE_WORDS = """
await Await awaits awaited awaiting awaitable Awaitable awaitables async Async asyncio coroutine
Coroutine coroutines AsyncStore Asynchronous aget _aload __aenter__ AsyncIterator
"""


def only(complaints: list[str]) -> str:
    assert len(complaints) == 1, complaints
    return complaints[0]


# --- names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "proposal"),
    [("get", "aget"), ("_load", "_aload"), ("__load", "_aload"), ("Aget", "aAget")],
)
def test_async_def_without_prefix(checkout, name, proposal):
    checkout.source(f"class C:\n    async def {name}(self): ...\n")

    assert only(checkout.refusals()) == (
        f"{OPS}:3: `async def {name}` lacks the prefix: name it `{proposal}`"
    )


@pytest.mark.parametrize(
    "name",
    UNPREFIXED.split(),
)
def test_async_def_whose_a_belongs_to_the_word(checkout, name):
    checkout.source(f"async def {name}(): ...\n")
    bare = name.lstrip("_")

    complaint = only(checkout.refusals())

    assert complaint.startswith(f"{OPS}:2: `async def {name}`: its `a` belongs to the word")
    assert f"name it `{'_' * name.startswith('_')}a{bare}`" in complaint
    assert "EXPLICIT" in complaint


@pytest.mark.parametrize(
    "name",
    PREFIXED.split(),
)
def test_async_def_with_prefix_is_accepted(checkout, name):
    checkout.source(f"async def {name}(): ...\n")

    assert checkout.run()[0] == 0, checkout.errors

    assert f"def {name.replace('a', '', 1)}()" in checkout.twin().read_text()


@pytest.mark.parametrize("name", ["a", "a_get", "_a", "a2", "aclass", "aNone"])
def test_async_def_whose_blocking_name_cannot_be(checkout, name):
    checkout.source(f"async def {name}(): ...\n")

    assert "choose another name" in only(checkout.refusals())


def test_nested_functions_need_the_prefix_also_in_tests(checkout):
    text = "async def test_x():\n    async def inner(): ...\n"
    checkout.source(text, home="tests/contract")
    checkout.source("async def test_x(): ...\n")

    assert [complaint.split("` lacks")[0] for complaint in checkout.refusals()] == [
        f"{OPS}:2: `async def test_x",
        "tests/contract/_async/ops.py:3: `async def inner",
    ]


def test_two_names_that_become_one_in_the_table(checkout):
    checkout.source("async def aget(): ...\nclass C:\n    async def afetch(): ...\n")

    assert only(checkout.refusals(explicit={"afetch": "get"})) == (
        f"{OPS}:2: `afetch` and `aget` both become `get`: rename one"
    )


def test_name_that_becomes_one_that_unasync_makes(checkout):
    checkout.source("x = AsyncStream\n")

    complaint = only(checkout.refusals(explicit={"AsyncStream": "Iterator"}))

    assert "`AsyncIterator` and `AsyncStream` both become `Iterator`" in complaint


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("class C:\n    async def aget(self): ...\n    def get(self): ...\n", 4),
        ("class C:\n    get = None\n    async def aget(self): ...\n", 4),
        ("async def aget(): ...\nfrom x import get\n", 3),
        ("async def aget(): ...\nimport x as get\n", 3),
        ("async def aget(): ...\nclass get: ...\n", 3),
        ("async def aget(get): ...\nf = lambda get: aget(get)\n", 3),
        ("async def aget(): ...\ndef f():\n    g = get(1)\n", 4),
        ("async def aget(): ...\ndef f(get):\n    def g():\n        return aget\n", 5),
        ("async def aget(): ...\ntry: ...\nexcept E as get: ...\n", 4),
        ("async def aget(): ...\nmatch x:\n    case get: ...\n", 4),
        ("class C:\n    async def aget(self): ...\n    def f(self): self.get = 1\n", 4),
        ("class C(B):\n    async def aget(self): ...\n    def f(self): self.get(1)\n", 4),
    ],
)
def test_two_names_that_become_one_where_both_are_seen(checkout, text, line):
    checkout.source(text)

    assert only(checkout.refusals()) == (
        f"{OPS}:{line}: `aget` and `get` would both be `get` here: rename one"
    )


def test_annotation_that_would_mean_the_method(checkout):
    checkout.source("class C:\n    async def aset(self) -> set[str]: ...\n")

    assert "`aset` and `set` would both be `set` here" in only(checkout.refusals())


@pytest.mark.parametrize(
    "text",
    [
        "class C:\n    async def aget(self): ...\nclass D:\n    def get(self): ...\n",
        "class C:\n    async def aget(self, get): return await self.aget(get.get)\n",
        "async def aget(): ...\ndef f(get): return get()\n",
        "class C:\n    async def aset(self): return set()\n",
    ],
)
def test_names_that_never_meet_may_become_one(checkout, text):
    checkout.source(text)

    assert checkout.run()[0] == 0, checkout.errors


@pytest.mark.parametrize("helper", ["def _load(self): ...", "def f(self): self._load = 1"])
def test_method_that_would_override_an_inherited_helper(checkout, helper):
    checkout.write(
        "src/symphra_cache/_state.py", f"class Base:\n    {helper}\nclass State(Base): ..."
    )
    checkout.source("class Ops(_state.State[int]):\n    async def _aload(self): ...\n")

    assert only(checkout.refusals()) == (
        f"{OPS}:3: `_aload` would override `_load` (src/symphra_cache/_state.py:2) in the twin:"
        " rename one"
    )


def test_method_that_would_override_one_of_another_source(checkout):
    checkout.source("class AsyncBase:\n    def load(self): ...\n", "base.py")
    checkout.source("class Ops(AsyncBase):\n    async def aload(self): ...\n")

    assert "`aload` would override `load`" in only(checkout.refusals())


def test_inheriting_a_hand_written_pair_is_accepted(checkout):
    pair = "class Pair:\n    async def aload(self): ...\n    def load(self): ...\n"
    checkout.write("src/symphra_cache/_state.py", pair)
    checkout.source("class Ops(Pair):\n    async def aload(self): ...\n")

    assert checkout.run()[0] == 0, checkout.errors


def test_explicit_entry_that_never_applied(checkout):
    checkout.source("from symphra_cache._async import x\nALock_ = 'a _lock'\n")

    complaint = only(checkout.refusals(explicit={"_async": "_sync", "ALock": "Lock"}))

    assert complaint == (
        "scripts/run_unasync.py:1: EXPLICIT entry `ALock` never applied: delete it"
    )


def test_explicit_entry_applies_to_whole_strings_and_in_either_tree(checkout):
    checkout.source("x = 'ALock'\n", home="tests/contract")

    assert checkout.run(explicit={"ALock": "Lock"})[0] == 0, checkout.errors


def test_explicit_entries_may_wait_while_there_is_no_source(checkout):
    assert checkout.run(explicit={"ALock": "Lock"}) == (0, "Twins: 0, changed or deleted: 0\n")


# --- text -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "return (await(x))",
        "return (await\n  x)",
        "return await\\\n  x",
        "return (await# why\n  x)",
        "return [await[x][0], 1]",
        "return [y async\n for y in x]",
        "return await'aget'",
    ],
)
def test_keyword_whose_next_token_would_be_eaten(checkout, statement):
    checkout.source(f"async def aget(x):\n    {statement}\n")

    complaint = only(checkout.refusals())

    assert complaint.startswith(f"{OPS}:3: `a")
    assert complaint.endswith("` must be followed by a space on the same line")


@pytest.mark.parametrize(
    ("literal", "word"),
    [
        ('f"{await x}"', "await"),
        ('f"{self.aget}"', "aget"),
        ('f"{aget:>{aget}}"', "aget"),
        ("f\"{x['aget']}\"", "aget"),
        ("f\"{f'{aget}'}\"", "aget"),
        ('f"aget {x}"', "aget"),
        ('f"{x:{aget}}"', "aget"),
        ('f"{AsyncThing}"', "AsyncThing"),
        ('f"{x.__aenter__}"', "__aenter__"),
        ('f"await"', "await"),
        ('(x, f"{x}"\n  rf"""\n {aget}""")', "aget"),
    ],
)
def test_fstring_that_holds_something_to_replace(checkout, literal, word):
    checkout.source(f"async def aget(x):\n    return {literal}\n")

    assert f"{OPS}:3: `{word}` within an f-string: give it a name before the string" in (
        checkout.refusals()
    )


@pytest.mark.parametrize("first", ["", "# Source\n", f" {MARKER}\n", f"\n{MARKER}\n"])
def test_source_without_the_marker(checkout, first):
    checkout.write("src/symphra_cache/_async/__init__.py", first)

    assert only(checkout.refusals()) == (
        f"src/symphra_cache/_async/__init__.py:1: the first line must be `{MARKER}`"
    )


@pytest.mark.parametrize(
    "word",
    FALSE_WORDS.split(),
)
@pytest.mark.parametrize("place", ["# one {}.\n", '"""One ``{}``."""\n', 'x = "one {}()"\n'])
def test_word_that_is_not_true_of_the_twin(checkout, word, place):
    checkout.source("async def aget(): ...\nasync def _aload(): ...\n" + place.format(word))

    assert only(checkout.refusals()) == (
        f"{TWIN}:4: `{word}` is left over: say it so that it is true of both faces"
        " (in code, import a pair under one name)"
    )


@pytest.mark.parametrize("text", ["import asyncio\n", "x: Awaitable[int]\n", "x = r'aget'\n"])
def test_code_that_is_left_over(checkout, text):
    checkout.source("async def aget(): ...\n" + text)

    assert only(checkout.refusals()).startswith(f"{TWIN}:3: `")


@pytest.mark.parametrize("word", ["anext", "aiter", "aclosing", "_async"])
def test_name_that_only_an_explicit_entry_can_replace(checkout, word):
    checkout.source(f"x = {word}(y)\n")

    assert only(checkout.refusals()) == (
        f"{TWIN}:2: `{word}` is left over: enter it in EXPLICIT of scripts/run_unasync.py"
    )
    assert checkout.run(explicit={word: word.replace("a", "", 1)})[0] == 0


@pytest.mark.parametrize("word", ["awaiter", "asyncpg", "is_async", "Synced", "agets", "xaget"])
def test_words_that_only_look_alike_are_accepted(checkout, word):
    assert f"# {word}\n" in checkout.render(f"async def aget(): ...\n# {word}\n")


def test_twin_with_other_lines_than_its_source(checkout, monkeypatch):
    from _unasync import render

    monkeypatch.setattr(render, "render", lambda texts, _: dict.fromkeys(texts, "#\nx\n"))
    checkout.source("x\n\ny\n")

    assert only(checkout.refusals()) == (
        f"{TWIN}:3: the twin has 2 lines, its source 4: rewrite what was dropped"
    )


@pytest.mark.parametrize("path", [OPS, "src/symphra_cache/other.py"])
def test_file_that_cannot_be_read(checkout, path):
    checkout.write(path, f"{MARKER}\nx = (\n")
    (checkout.root / "src/symphra_cache/latin.py").write_bytes(b"# \xe9\n")

    first, second = sorted(checkout.refusals(), key=lambda complaint: "latin" in complaint)

    assert first.startswith(f"{path}:2: can't be parsed (")
    assert second.startswith("src/symphra_cache/latin.py:1: is not UTF-8 (")


# --- files ----------------------------------------------------------------------------


def test_twin_written_by_hand(checkout):
    checkout.source("x = 1\n")
    checkout.write(TWIN, "x = 2\n")

    assert only(checkout.refusals()) == (
        f"{TWIN}:1: has no generated header, so it was written by hand:"
        " move what it says to its source, then delete it"
    )


@pytest.mark.parametrize("name", ["stray.py", "deep/stray.py", "notes.txt"])
def test_file_written_by_hand_among_the_twins(checkout, name):
    checkout.write(f"src/symphra_cache/_sync/{name}", "x = 2\n")

    assert only(checkout.refusals()) == (
        f"src/symphra_cache/_sync/{name}:1: has no generated header, so it was written by hand,"
        " and has no source: move it out of src/symphra_cache/_sync"
    )


def test_every_problem_is_listed_in_order(checkout):
    checkout.write(OPS, "async def add(): f'{await x}'\nasync def aget(): ...\n# aget\n")
    checkout.write("tests/contract/_async/test_x.py", "await(x)\n")
    checkout.write("tests/contract/_sync/stray.py", "")

    places = [complaint.split(": ")[0] for complaint in checkout.refusals({"ALock": "Lock"})]

    assert places == [
        "scripts/run_unasync.py:1",
        f"{OPS}:1",
        f"{OPS}:1",
        f"{OPS}:1",
        f"{TWIN}:3",
        "tests/contract/_async/test_x.py:1",
        "tests/contract/_async/test_x.py:1",
        "tests/contract/_sync/stray.py:1",
    ]
