"""Keys of calls: what ``cached`` makes of a function and the arguments of a call.

The key is ``module.qualname(1,'x')``: the arguments in the order of the parameters, defaults put
in, each as its canonical text (see ``_canonical.py``). Beyond 200 characters a digest stands for
the arguments, so such a key is always a legal one. ``key=`` makes another, by a function of the
same arguments or by a template (see ``_key_templates.py``).

The builder of a function is compiled once, from source with the function's own parameters. So
Python itself does all the binding, and a wrong call gets the very error that the function gives.
"""

from __future__ import annotations

import inspect
from types import FunctionType, MethodType
from typing import Any, NamedTuple, Protocol, cast

from symphra_cache._canonical import Refused, canonical, escaped, type_name
from symphra_cache._key_templates import Template
from symphra_cache._keys import checked_key
from symphra_cache._patterns import escape_pattern
from symphra_cache.exceptions import ConfigurationError, UnkeyableArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Key: TypeAlias = "Callable[..., str] | str | None"

__all__ = ["CallKey", "CallSource", "KeySource", "call_key", "key_source"]

# Characters, at most four bytes each.
_LONGEST = 200
# A name so long leaves room for a digest. A longer one is cut, with a digest of its own.
_LONGEST_NAME = 150
_DIGEST_BYTES = 20

# What stands before the arguments that one parameter gathers, and how none of them are written.
_STARS: dict[Any, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}
_NONE_GATHERED = {"*": canonical(()), "**": canonical({})}

# What to do about an argument that has no text.
_OF_NAMES = (
    "give key= to say what tells calls apart, or give the type a __cache_key__ that tells its "
    "objects apart"
)
_OF_TEMPLATES = "name an attribute that tells calls apart, as in {user.id}, or give a function"


class CallKey(Protocol):
    """Makes the key of a call, given the arguments of the call.

    Attributes:
        pattern: matches all keys of the function, for ``scan`` and ``delete_matching``; ``None``
            if a function of the program's makes them.
    """

    @property
    def pattern(self) -> str | None:
        """What matches all keys of the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        """Return the key of a call."""


def call_key(function: Callable[..., object], key: Key = None) -> CallKey:
    """Compile what makes the keys of a function's calls.

    Args:
        function: the function. A bound method counts its ``self`` as the first argument.
        key: a function of the same arguments, or a template like ``"user:{user_id}"``; by
            default the key names the function and tells all its arguments.

    Returns:
        A function of the same parameters. It raises what the function raises for a call that
        does not fit, and `UnkeyableArgumentError` for arguments that have no lasting text.

    Raises:
        ConfigurationError: the function has no name or signature of its own and ``key`` does not
            make up for it, or ``key`` is nothing that makes keys of such a function.
    """
    if isinstance(function, MethodType):
        method: Any = MethodType(call_key(function.__func__, key), function.__self__)
        return cast("CallKey", method)
    call = CallSource(function)
    builder = call.key(key_source(call, key))
    call.close()
    return builder


class KeySource(NamedTuple):
    """How the key of a call is made, as source.

    Attributes:
        lines: make it.
        text: the name of the variable that holds it then.
        pattern: matches all such keys; ``None`` if a function of the program's makes them.
        check: refuses what is no legal key, if they may be none. Whoever hands the key to a
            keyspace needs none, which checks it itself.
    """

    lines: tuple[str, ...]
    text: str
    pattern: str | None
    check: tuple[str, ...] = ()


def key_source(call: CallSource, key: Key = None) -> KeySource:
    """Return how the keys of a function's calls are made; see `call_key`."""
    if key is None:
        return _by_name(call)
    if isinstance(key, str):
        return _by_template(call, Template(str.__str__(key)))
    if callable(key):
        return _by_function(call, key)
    raise ConfigurationError(
        "key must be a function of the arguments or a template such as 'user:{user_id}', "
        f"got {type(key).__name__}"
    )


class CallSource:
    """The parameters of a function, from which others with the same ones are compiled.

    Attributes:
        function: the function.
        name: how messages call it.
        parameters: its parameters.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function
        self.name = ".".join(filter(None, (_home(function), _qualname(function))))
        try:
            self.parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"{self.name} does not tell its parameters; wrap it in a function that has some"
            ) from None
        # What the source needs besides the parameters is called by names that none of them has.
        self._mark = "_"
        while any(each.name.startswith(self._mark) for each in self.parameters):
            self._mark += "_"
        self._namespace: dict[str, object] = {"__name__": __name__}

    def known(self, name: str, value: object = None) -> str:
        """Return a name for the source, made from this one, that stands for the value there.

        Without a value it is the name of a variable.
        """
        name = self._mark + name
        while self._namespace.setdefault(name, value) is not value:
            name += "_"
        return name

    def close(self) -> None:
        """Let go of what was compiled, which may hold this: no more is to come."""
        self._namespace = {}

    def key(self, made: KeySource) -> CallKey:
        """Return what makes the keys of calls."""
        lines = (*made.lines, *made.check, f"return {made.text}")
        builder: Any = self.compile(*lines, what="key of")
        builder.pattern = made.pattern
        return cast("CallKey", builder)

    def compile(self, *lines: str, what: str, start: str = "def") -> FunctionType:
        """Return a function of the same parameters and these lines.

        Args:
            lines: its body.
            what: it is to the function, for who reads a traceback.
            start: its first word, or words.
        """
        body = "".join(f"\n    {line}" for line in lines)
        source = f"{start} {self._mark}({self._declared()}):{body}"
        exec(compile(source, f"<{what} {escaped(self.name)}>", "exec"), self._namespace)
        made: Any = self._namespace.pop(self._mark)  # else it would hold itself
        made.__name__ = getattr(self.function, "__name__", type(self.function).__name__)
        # Python names the function by it in its errors.
        made.__qualname__ = _qualname(self.function)
        made.__code__ = made.__code__.replace(co_name=made.__name__, co_qualname=made.__qualname__)
        return cast("FunctionType", made)

    def each(self) -> list[tuple[str, str]]:
        """Return the names of the parameters, and what stands before their texts in a key."""
        return [(each.name, _STARS.get(each.kind, "")) for each in self.parameters]

    def values(self) -> str:
        """Return the source of a tuple of the arguments, one for each parameter."""
        return "(" + "".join(f"{each.name}," for each in self.parameters) + ")"

    def passed_on(self) -> str:
        """Return the source of the arguments of a call that hands them on."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        return ", ".join(
            f"{name}={name}" if each.kind is keyword else stars + name
            for (name, stars), each in zip(self.each(), self.parameters, strict=True)
        )

    def _declared(self) -> str:
        kinds = inspect.Parameter
        written: list[str] = []
        last: Any = None
        for at, each in enumerate(self.parameters):
            if last is kinds.POSITIONAL_ONLY and each.kind is not last:
                written.append("/")
            if each.kind is kinds.KEYWORD_ONLY and last not in (kinds.VAR_POSITIONAL, each.kind):
                written.append("*")
            last = each.kind
            default = "" if each.default is each.empty else self.known(f"default{at}", each.default)
            stars = _STARS.get(each.kind, "")
            written.append(stars + each.name + (f"={default}" if default else ""))
        if last is kinds.POSITIONAL_ONLY:
            written.append("/")
        return ", ".join(written)


def _by_name(call: CallSource) -> KeySource:
    """Make keys that name the function and tell all its arguments."""
    prefix = _prefix(call)
    known = call.known
    texts = [f"{stars}{{{_text(known, name, stars)}}}" for name, stars in call.each()]
    text = known("text")

    def in_full(values: tuple[object, ...]) -> str:
        return _in_full(call, prefix, values)

    lines = (
        "try:",
        f"    {text} = f{_literal(prefix + '(')}f'{','.join(texts)})'",
        # Too many digits are a ValueError.
        f"except {known('expected', (Refused, ValueError))}:",
        f"    {text} = {known('too_long', ' ' * (_LONGEST + 1))}",
        f"if {known('len', len)}({text}) > {_LONGEST}:",
        f"    {text} = {known('in_full', in_full)}({call.values()})",
    )
    return KeySource(lines, text, f"{escape_pattern(prefix)}(*")


def _text(known: Callable[..., str], name: str, stars: str) -> str:
    """Return the source of the text of an argument."""
    made = f"{known('canonical', canonical)}({name})"
    if stars:
        return f"{made} if {name} else {known('none', _NONE_GATHERED[stars])}"
    # Most arguments are numbers and plain text, which can be written without a call.
    kind = known("kind")
    return (
        f"{name} if ({kind} := {known('type', type)}({name})) is {known('int', int)} "
        f"else {known('repr', repr)}({name}) "
        f"if {kind} is {known('str', str)} and {name}.isascii() else {made}"
    )


def _in_full(call: CallSource, prefix: str, values: tuple[object, ...]) -> str:
    """Return the key of a call that is not as short and plain as most."""
    texts = []
    for (name, stars), value in zip(call.each(), values, strict=True):
        try:
            texts.append(stars + canonical(value))
        except Refused as refused:
            raise _unkeyable(call, stars + name, value, refused, _OF_NAMES) from None
    arguments = ",".join(texts)
    if len(prefix) + len(arguments) + 2 <= _LONGEST:
        return f"{prefix}({arguments})"
    return f"{prefix}(#{_digest(arguments)})"


def _prefix(call: CallSource) -> str:
    """Return what stands before the arguments."""
    home, name = _home(call.function), getattr(call.function, "__qualname__", None)
    if not home or not isinstance(name, str) or name.endswith("<lambda>"):
        is_lambda = isinstance(name, str) and name.endswith("<lambda>")
        what = "a lambda" if is_lambda else f"a {type(call.function).__name__} like this"
        raise ConfigurationError(
            f"{what} has no name of its own that its keys could begin with; "
            "define a function in a module, or give key="
        )
    full = escaped(f"{home}.{name}")
    return full if len(full) <= _LONGEST_NAME else f"{full[:100]}#{_digest(full)}"


def _by_template(call: CallSource, template: Template) -> KeySource:
    """Make keys by a template."""
    names = [each.name for each in call.parameters]
    template.check(names)
    known, text = call.known, call.known("text")
    written = "".join(
        f"f{_literal(part)}" if isinstance(part, str) else f"f'{{{part.source(known)}}}'"
        for part in template.parts
    )

    def explained(values: tuple[object, ...]) -> str:
        given = dict(zip(names, values, strict=True))
        for field in template.fields():
            try:
                field.text(given)
            except (Refused, TypeError, ValueError) as error:
                value = given[field.name]
                raise _unkeyable(call, field.name, value, error, _OF_TEMPLATES) from error
        return template.text(given)

    lines = (
        "try:",
        f"    {text} = {written}",
        f"except {known('expected', (Refused, TypeError, ValueError))}:",
        f"    {text} = {known('explained', explained)}({call.values()})",
    )
    return KeySource(lines, text, template.pattern(), _check(call, text))


def _by_function(call: CallSource, key: Callable[..., object]) -> KeySource:
    """Make keys by a function of the program's."""
    if inspect.iscoroutinefunction(key):
        raise ConfigurationError(
            "key must be a plain function, got a coroutine function; nobody could await it"
        )
    _check_fit(call, key)

    def as_text(made: object) -> str:
        if isinstance(made, str):
            return str.__str__(made)
        raise UnkeyableArgumentError(
            f"{call.name}(): the function given as key= must return a str, "
            f"got {type_name(type(made))}; convert it there"
        )

    known, text = call.known, call.known("text")
    lines = (
        f"{text} = {known('key', key)}({call.passed_on()})",
        f"if {known('type', type)}({text}) is not {known('str', str)}:",
        f"    {text} = {known('as_text', as_text)}({text})",
    )
    return KeySource(lines, text, None, _check(call, text))


def _check_fit(call: CallSource, key: Callable[..., object]) -> None:
    """Find out now, not at some call, that the one can't be called like the other."""
    try:
        signature = inspect.signature(key)
    except (TypeError, ValueError):  # written in C: it will say itself what it refuses
        return
    kinds = inspect.Parameter
    by_place = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
    places = [each for each in call.parameters if each.kind in by_place]
    by_name = [each.name for each in call.parameters if each.kind is kinds.KEYWORD_ONLY]
    try:
        signature.bind(*places, **dict.fromkeys(by_name))
    except TypeError as error:
        raise ConfigurationError(
            f"key must be a function of all arguments of {call.name}{_shown(call)}: {error}; "
            "let it take them all, or give a template"
        ) from None


def _shown(call: CallSource) -> str:
    return "(" + ", ".join(stars + name for name, stars in call.each()) + ")"


def _check(call: CallSource, text: str) -> tuple[str, ...]:
    """Return the source of a check: what a program made itself may be no legal key."""
    return (f"{call.known('checked', checked_key)}({text})",)


def _unkeyable(
    call: CallSource, name: str, value: object, error: Exception, remedy: str
) -> UnkeyableArgumentError:
    if isinstance(error, Refused):
        why = f"{'is' if error.value is value else 'holds'} {error.why}"
    else:
        why = f"does not fit: {error}"
    return UnkeyableArgumentError(
        f"{call.name}(): argument {name!r} {why}; no key can be made of it: {remedy}"
    )


def _literal(text: str) -> str:
    """Write a text as the source of what an f-string gives back."""
    return repr(text).replace("{", "{{").replace("}", "}}")


def _digest(text: str) -> str:
    from hashlib import blake2b

    digest = blake2b(text.encode(), digest_size=_DIGEST_BYTES, usedforsecurity=False)
    return digest.hexdigest()


def _home(function: object) -> str:
    module = getattr(function, "__module__", None)
    return module if isinstance(module, str) else ""


def _qualname(function: object) -> str:
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__name__
