"""The steps that must be one on the server, in Lua. Each touches one key, so one slot.

``head(key)`` gives the first bytes of what stands there, which tell whether it is a value of
ours; ``false`` if nothing does or if it is another type. Integers travel as text, since Lua's
numbers are doubles.
"""

from __future__ import annotations

from hashlib import sha1

from symphra_cache._frame import HEADER_SIZE

__all__ = [
    "ADD_OVER",
    "HEADS",
    "INCREMENT",
    "REMOVE",
    "TIME_LEFT",
    "TOUCH",
    "Script",
]

_HEAD = f"""
local function head(key)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'string' then return false end
  return redis.call('GETRANGE', key, 0, {HEADER_SIZE - 1})
end
"""


class Script:
    """A Lua script and the digest by which the server knows it.

    Attributes:
        writes: whether it may change what stands there.
    """

    def __init__(self, text: str, *, writes: bool = True) -> None:
        self.writes = writes
        self.text: str = _HEAD + text
        # The server's name for the script, no protection.
        self.digest: str = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


# Replaces what has just been found unreadable (ARGV[1], empty: another type), if it is still
# there. Tells whether it did.
ADD_OVER = Script("""
local found = head(KEYS[1]) or ''
if found ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
""")

# Returns the heads of the keys, removing none.
HEADS = Script(
    """
local heads = {}
for i, key in ipairs(KEYS) do heads[i] = head(key) end
return heads
""",
    writes=False,
)

# Removes the keys and returns their heads.
REMOVE = Script("""
local heads = {}
for i, key in ipairs(KEYS) do
  heads[i] = head(key)
  redis.call('UNLINK', key)
end
return heads
""")

# Sets the time to live (empty: none) and returns the head.
TOUCH = Script("""
if ARGV[1] == '' then redis.call('PERSIST', KEYS[1])
else redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return head(KEYS[1])
""")

# Returns the head and the milliseconds left.
TIME_LEFT = Script(
    """
return {head(KEYS[1]), redis.call('PTTL', KEYS[1])}
""",
    writes=False,
)

# Adds ARGV[1]. A missing counter takes the ttl ARGV[2]: empty for none; 0 stores nothing. What
# can't be added to gives ``false``; any other refusal (full, read-only) is an error.
INCREMENT = Script("""
local missing = redis.call('EXISTS', KEYS[1]) == 0
if missing and ARGV[2] == '0' then return {ARGV[1], 0} end
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' then
  for _, reason in ipairs({'not an integer', 'overflow', 'WRONGTYPE'}) do
    if string.find(sum.err, reason, 1, true) then return false end
  end
  return sum
end
if missing and ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {redis.call('GET', KEYS[1]), 1}
""")
