"""What schemathesis is told of types of bodies that it does not know."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def piece(_, value):
    """A piece of an upload by tus: bytes as they are."""
    return value if isinstance(value, bytes) else str(value).encode()
