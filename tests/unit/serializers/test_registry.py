"""Registration of dataclasses and enums: names, conflicts, reloads, threads."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, make_dataclass
from enum import CONFORM, EJECT, Enum, Flag, IntFlag

import pytest

from symphra_cache import SerializationError
from symphra_cache.exceptions import ConfigurationError
from symphra_cache.serializers import (
    MessagePackSerializer,
    register_dataclass,
    register_enum,
    registry,
)

serializer = MessagePackSerializer()


def make(name: str, *fields: str) -> type:
    """Return a new dataclass, of the same identity whenever the name is the same."""
    made = make_dataclass(name, [(field, object, None) for field in fields])
    made.__module__ = "reloaded"
    return made


def test_all_the_ways_to_register_a_dataclass() -> None:
    called = make("Called", "a")
    assert register_dataclass(called, "reg.called") is called
    assert register_dataclass(make("Named", "a"), name="reg.named").__name__ == "Named"

    @register_dataclass("reg.decorated")
    @dataclass
    class Decorated:
        a: int

    @register_dataclass(name="reg.keyword")
    @dataclass
    class Keyword:
        a: int

    for value in (called(1), Decorated(2), Keyword(3)):
        assert serializer.loads(serializer.dumps(value)) == value


def test_all_the_ways_to_register_an_enum() -> None:
    class Called(Enum):
        A = 1

    assert register_enum(Called, "reg.enum.called") is Called

    @register_enum("reg.enum.decorated")
    class Decorated(Enum):
        A = 1

    for value in (Called.A, Decorated.A):
        assert serializer.loads(serializer.dumps(value)) is value


def test_the_same_again_changes_nothing() -> None:
    again = make("Again", "a")
    for _ in range(3):
        assert register_dataclass(again, "reg.again") is again
    assert serializer.loads(serializer.dumps(again(1))) == again(1)


def test_a_name_belongs_to_one_class_and_a_class_has_one_name() -> None:
    first, second = make("First", "a"), make("Second", "a")
    register_dataclass(first, "reg.first")
    with pytest.raises(ConfigurationError, match=r"'reg.first' already belongs to .*First"):
        register_dataclass(second, "reg.first")
    with pytest.raises(ConfigurationError, match=r"First is already registered as 'reg.first'"):
        register_dataclass(first, "reg.other")
    assert second not in registry.dataclasses.by_type
    assert type(serializer.loads(serializer.dumps(first(1)))) is first


def test_a_reloaded_class_takes_the_place_of_the_old_one() -> None:
    old, new = make("Reloaded", "a"), make("Reloaded", "a")
    register_dataclass(old, "reg.reloaded")
    stored = serializer.dumps(old(1))
    register_dataclass(new, "reg.reloaded")
    assert type(serializer.loads(stored)) is new
    with pytest.raises(SerializationError):
        serializer.dumps(old(1))


def test_other_fields_make_what_was_stored_unreadable() -> None:
    old = make("Changed", "a", "b")
    register_dataclass(old, "reg.changed")
    stored = serializer.dumps(old(1, 2))
    for fields in (("a",), ("a", "b", "c"), ("b", "a"), ("a", "c")):
        register_dataclass(make("Changed", *fields), "reg.changed")
        with pytest.raises(Exception, match="ext_hook"):
            serializer.loads(stored)
    register_dataclass(make("Changed", "a", "b"), "reg.changed")
    assert serializer.loads(stored).b == 2


def test_stored_bytes_hold_no_import_path() -> None:
    here = make("Here", "a")
    register_dataclass(here, "reg.here")
    data = serializer.dumps(here("value"))
    assert b"reg.here" in data
    for part in (b"reloaded", b"Here", __name__.encode()):
        assert part not in data


def test_values_of_members_may_change_and_names_become_aliases() -> None:
    old = Enum("Size", {"SMALL": 1, "BIG": 2}, module="reloaded", qualname="Size")
    register_enum(old, "reg.size")
    stored = serializer.dumps(old.BIG)
    new = Enum("Size", {"LARGE": 20, "BIG": 20}, module="reloaded", qualname="Size")
    register_enum(new, "reg.size")
    assert serializer.loads(stored) is new.LARGE
    register_enum(Enum("Size", {"SMALL": 1}, module="reloaded", qualname="Size"), "reg.size")
    with pytest.raises(ValueError, match="ext_hook"):
        serializer.loads(stored)


@pytest.mark.parametrize("boundary", [CONFORM, EJECT])
def test_bits_that_a_flag_no_longer_has_are_unreadable(boundary: object) -> None:
    members = {"A": 1, "B": 2}
    names = {"module": "reloaded", "qualname": "Bits"}
    old = IntFlag("Bits", members, boundary=boundary, **names)
    register_enum(old, "reg.bits")
    stored = serializer.dumps(old.A | old.B)
    assert serializer.loads(stored) is old.A | old.B
    register_enum(IntFlag("Bits", {"A": 1}, boundary=boundary, **names), "reg.bits")
    with pytest.raises(ValueError, match="ext_hook"):
        serializer.loads(stored)


class NotOne:
    a: int = 1


class WrongOrder(make("Base", "a")):
    b: int = 1


@dataclass
class Failure(ValueError):
    a: int = 1


@pytest.mark.parametrize("cls", [NotOne, NotOne(), WrongOrder, int, 5, Enum])
def test_what_is_no_dataclass_of_its_own_is_refused(cls: object) -> None:
    with pytest.raises(ConfigurationError, match=r"not a dataclass.*above @dataclass"):
        register_dataclass(cls, "reg.wrong")
    with pytest.raises(ConfigurationError, match="not a dataclass"):
        register_dataclass("reg.wrong")(cls)


def test_a_dataclass_that_its_fields_do_not_make_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="can't be restored from its fields alone"):
        register_dataclass(Failure, "reg.failure")


@pytest.mark.parametrize("cls", [NotOne, 5, Flag("F", "A").A])
def test_what_is_no_enum_is_refused(cls: object) -> None:
    with pytest.raises(ConfigurationError, match="not an Enum class"):
        register_enum(cls, "reg.wrong")


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 256, "\ud800", None, 5, b"name"])
def test_wrong_names_are_refused(name: object) -> None:
    with pytest.raises(ConfigurationError, match="a str of 1 to 255"):
        register_dataclass(make("Wrong", "a"), name)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_wrong_names_are_refused_before_a_decorator_is_applied(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a str of 1 to 255"):
        register_enum(name)
    with pytest.raises(ConfigurationError, match="a str of 1 to 255"):
        register_dataclass()


def test_threads_that_register_one_name_agree_on_one_class() -> None:
    classes = [make(f"Racer{i}", "a") for i in range(8)]
    barrier = threading.Barrier(len(classes))
    won = []

    def race(cls: type) -> None:
        barrier.wait()
        with contextlib.suppress(ConfigurationError):
            won.append(register_dataclass(cls, "reg.race"))

    threads = [threading.Thread(target=race, args=(cls,)) for cls in classes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert type(serializer.loads(serializer.dumps(won[0](1)))) is won[0]
