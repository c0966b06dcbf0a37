"""Both compressions of a frame's payload, bounded by the size that its header declares.

A compressed payload is untrusted: nothing is inflated beyond the declared size, and
what does not come out at exactly that size is refused.
"""

from __future__ import annotations

import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zstandard import ZstdCompressor, ZstdDecompressor

# zstandard's objects belong to one thread at a time, and making one costs 8 µs. Each use
# takes one out and puts it back; `list.pop` and `append` are atomic.
_compressors: list[ZstdCompressor] = []
_decompressors: list[ZstdDecompressor] = []


def deflate_zlib(data: bytes) -> bytes:
    """Compress for speed: level 1 takes half of level 6's time and an eighth more room."""
    return zlib.compress(data, 1)


def inflate_zlib(data: bytes, size: int) -> bytes:
    """Inflate to exactly `size` bytes or raise."""
    stream = zlib.decompressobj()
    # One byte more than declared, so that a longer stream shows and a whole one ends.
    value = stream.decompress(data, size + 1)
    if len(value) != size or not stream.eof or stream.unused_data:
        raise ValueError("zlib stream does not match its declared size")
    return value


def deflate_zstd(data: bytes) -> bytes:
    """Compress; the stream carries its size, which `inflate_zstd` insists on."""
    from zstandard import ZstdCompressor

    try:
        tool = _compressors.pop()
    except IndexError:
        tool = ZstdCompressor()
    result = tool.compress(data)
    _compressors.append(tool)
    return result


def inflate_zstd(data: bytes, size: int) -> bytes:
    """Inflate to exactly `size` bytes or raise."""
    from zstandard import ZstdDecompressor, frame_content_size

    # zstandard allocates what the stream itself declares, whatever max_output_size says.
    if frame_content_size(data) != size:
        raise ValueError("zstd stream does not match its declared size")
    try:
        tool = _decompressors.pop()
    except IndexError:
        tool = ZstdDecompressor()
    value: bytes = tool.decompress(data, max_output_size=size, allow_extra_data=False)
    _decompressors.append(tool)
    if len(value) != size:
        raise ValueError("zstd stream does not match its declared size")
    return value


def has_zstd() -> bool:
    """Tell whether zstd payloads can be read here."""
    try:
        import zstandard  # noqa: F401
    except ImportError:
        return False
    return True
