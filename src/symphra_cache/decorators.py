"""`CacheManager.cached`: functions whose results are kept, of either kind, alone or in a class."""

from __future__ import annotations

from functools import partial, update_wrapper
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from symphra_cache._async.cached import AsyncCachedOps
from symphra_cache._call_keys import call_key
from symphra_cache._sync.cached import SyncCachedOps
from symphra_cache.exceptions import ConfigurationError
from symphra_cache.types import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from symphra_cache._cached import FunctionStats
    from symphra_cache._loads import Load

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
R_co = TypeVar("R_co", covariant=True)
