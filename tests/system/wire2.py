"""Protocol 2 by hand: frames, attributes, and a client that says exactly what it is told to.

Digests are SHA-256, which Python has. Names of attributes and messages are the manual page's.
"""

import hashlib
import os
import socket
import struct

from wire import DEADLINE

PREFACE = b"\xf7FTX\r\n\x1a\n"
TYPES = {
    "HELLO": 0x01, "PING": 0x02, "PONG": 0x03, "GOODBYE": 0x04, "AUTH": 0x10, "PUT": 0x11,
    "GET": 0x12, "STAT": 0x13, "LIST": 0x14, "MKDIR": 0x15, "RENAME": 0x16, "REMOVE": 0x17,
    "DIGEST": 0x18, "CANCEL": 0x19, "GO": 0x40, "HAVE": 0x41, "PREFIX": 0x42, "DATA": 0x43,
    "END": 0x44, "OK": 0x50, "ERROR": 0x51, "WORKING": 0x52, "PAGE": 0x53, "FILE": 0x54,
}
NAMES = {number: name for name, number in TYPES.items()}
ATTRIBUTES = {
    "PROTOCOL_VERSION": (0x0001, "H"), "FEATURES": (0x0002, "Q"), "DIGESTS": (0x0003, None),
    "MAX_DATA": (0x0004, "I"), "MAX_REQUESTS": (0x0005, "H"), "MAX_NOW": (0x0006, "I"),
    "MAX_FILE": (0x0007, "Q"), "AGENT": (0x0008, None), "TOKEN": (0x0009, None),
    "NAME": (0x0010, None), "TO": (0x8011, None), "SIZE": (0x0012, "Q"), "MTIME": (0x0013, "qI"),
    "MODE": (0x0014, "H"), "KIND": (0x0015, "B"), "FILE_VERSION": (0x0016, None),
    "DIGEST": (0x0017, None), "DIGEST_KIND": (0x8018, "B"), "UPLOAD_ID": (0x0020, None),
    "POLICY": (0x8021, "B"), "IF_VERSION": (0x8022, None), "OFFSET": (0x8023, "Q"),
    "LENGTH": (0x8024, "Q"), "RESUME": (0x0025, "Q"), "TARGET": (0x8026, "H"),
    "CURSOR": (0x8027, None), "ENTRY": (0x0028, None), "CODE": (0x0030, "H"),
    "TEXT": (0x0031, None), "RETRY_AFTER": (0x0032, "I"), "DONE": (0x0033, "Q"),
    "TIME": (0x0034, "qI"),
}
NUMBERS = {number: (name, form) for name, (number, form) in ATTRIBUTES.items()}
NOW, PARENTS, BARRIER = 0x02, 0x01, 0x80
ABORT, CHANGED = 0x01, 0x02
SAME, SUPERSEDED, EXISTED, UNSYNCED = 0x01, 0x02, 0x04, 0x08
CREATE, REPLACE, CREATE_OR_SAME, REPLACE_OR_SAME = 1, 2, 3, 4
CODES = {
    "MALFORMED": 100, "PROTOCOL": 101, "UNSUPPORTED": 102, "ID_IN_USE": 103, "TOO_MUCH": 104,
    "UNAUTHENTICATED": 110, "FORBIDDEN": 111, "BAD_NAME": 120, "TOO_DEEP": 121, "NOT_FOUND": 122,
    "NO_PARENT": 123, "EXISTS": 124, "IS_DIRECTORY": 125, "NOT_DIRECTORY": 126, "NOT_REGULAR": 127,
    "NOT_EMPTY": 128, "OTHER_DEVICE": 129, "CHANGED": 130, "DIGEST_MISMATCH": 131,
    "SIZE_MISMATCH": 132, "TOO_LARGE": 133, "NO_SPACE": 134, "BAD_RANGE": 136, "CANCELLED": 137,
    "TOO_LATE": 138, "TAKEN_OVER": 139, "INTERNAL": 140, "BUSY": 200, "TOO_MANY": 202, "TIMED_OUT": 203,
    "SHUTTING_DOWN": 204, "CURSOR_EXPIRED": 205, "UNSTABLE": 206, "OVERLOADED": 207, "NOT_DURABLE": 208,
}
CODE_NAMES = {number: name for name, number in CODES.items()}


def sha256(data):
    return b"\x02" + hashlib.sha256(data).digest()


def encode(attributes):
    out = b""
    for name, value in attributes:
        number, form = ATTRIBUTES[name]
        if form is not None:
            value = struct.pack(">" + form, *(value if isinstance(value, tuple) else (value,)))
        elif isinstance(value, str):
            value = value.encode()
        out += struct.pack(">HH", number, len(value)) + value
    return out


def frame(kind, number, flags=0, payload=b""):
    return struct.pack(">IBBH", len(payload), TYPES.get(kind, kind), flags, number) + payload


class Message:
    """One frame that came: its type by name, flags, id, attributes (or the bytes of DATA)."""

    def __init__(self, kind, flags, number, payload):
        self.type, self.flags, self.id, self.payload = NAMES.get(kind, kind), flags, number, payload
        self.attributes = [] if self.type == "DATA" else list(self.split(payload))

    @classmethod
    def split(cls, payload):
        while payload:
            number, length = struct.unpack(">HH", payload[:4])
            value, payload = payload[4:4 + length], payload[4 + length:]
            name, form = NUMBERS[number]
            if name == "ENTRY":
                value = dict(cls.split(value))
            elif form is not None:
                value = struct.unpack(">" + form, value)
                value = value[0] if len(value) == 1 else value
            yield name, value

    def __getattr__(self, name):
        for key, value in self.attributes:
            if key == name:
                return value
        return None

    @property
    def entries(self):
        return [value for name, value in self.attributes if name == "ENTRY"]

    @property
    def code(self):
        return CODE_NAMES.get(self.CODE, self.CODE)

    def __repr__(self):
        what = len(self.payload) if self.type == "DATA" else self.attributes
        if self.type == "ERROR":
            what = self.code
        return "%s id=%d flags=%#x %s" % (self.type, self.id, self.flags, what)


class Client:
    """A connection of version 2. Requests get ids from 1 on; what comes is read when asked for."""

    def __init__(self, address, max_data=1 << 20, hello=True, early=b""):
        self.socket = socket.create_connection(address, DEADLINE)
        self.socket.settimeout(DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.last = 0
        self.kept = []
        if hello:
            self.send(PREFACE + frame("HELLO", 0, 0, encode([
                ("PROTOCOL_VERSION", 2), ("DIGESTS", b"\x01\x02"), ("MAX_DATA", max_data)])) + early)
            self.expect_preface()
            self.hello = self.next()
            assert self.hello.type == "HELLO", self.hello

    def close(self):
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data):
        self.socket.sendall(data)

    def fill(self, size):
        while len(self.buffer) < size:
            more = self.socket.recv(1 << 20)
            if not more:
                return False
            self.buffer += more
        return True

    def take(self, size):
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def expect_preface(self):
        assert self.fill(8) and self.take(8) == PREFACE

    def next(self):
        """The next frame; None at the end of the connection."""
        if not self.fill(8):
            assert not self.buffer, self.buffer
            return None
        length, kind, flags, number = struct.unpack(">IBBH", self.buffer[:8])
        assert self.fill(8 + length), "the end, within a frame"
        self.take(8)
        return Message(kind, flags, number, self.take(length))

    def new_id(self):
        self.last = self.last % 65535 + 1
        return self.last

    def request(self, kind, *attributes, flags=0):
        """Sends it; its id."""
        number = self.new_id()
        self.send(frame(kind, number, flags, encode(attributes)))
        return number

    def result(self, number, *skip):
        """The next frame for this request; others are kept for whoever asks for them."""
        for i, message in enumerate(self.kept):
            if message.id == number:
                return self.kept.pop(i)
        while True:
            message = self.next()
            if message is None or message.id == number:
                return message
            self.kept.append(message)

    def ask(self, kind, *attributes, flags=0):
        return self.result(self.request(kind, *attributes, flags=flags))

    def data(self, number, content, step=1 << 20):
        for at in range(0, len(content), step):
            self.send(frame("DATA", number, 0, content[at:at + step]))

    def end(self, number, content=None, flags=0, digest=None):
        attributes = [] if content is None else [("DIGEST", digest or sha256(content))]
        self.send(frame("END", number, flags, encode(attributes)))

    def put_frames(self, number, name, content, *attributes, flags=0):
        """PUT with NOW, all of it, as bytes."""
        digest = [] if any(a[0] == "DIGEST" for a in attributes) else [("DIGEST_KIND", 2)]
        head = encode([("NAME", name), ("SIZE", len(content))] + digest + list(attributes))
        data = frame("DATA", number, 0, content) if content else b""
        return (frame("PUT", number, NOW | flags, head) + data +
                frame("END", number, 0, encode([("DIGEST", sha256(content))])))

    def put_now(self, name, content, *attributes, flags=0):
        number = self.new_id()
        self.send(self.put_frames(number, name, content, *attributes, flags=flags))
        return self.result(number)

    def put(self, name, content, *attributes, flags=0, step=1 << 20):
        """PUT, and its content once it has GO; the final result."""
        digest = [] if any(a[0] == "DIGEST" for a in attributes) else [("DIGEST_KIND", 2)]
        number = self.request("PUT", ("NAME", name), ("SIZE", len(content)), *digest, *attributes,
                              flags=flags)
        answer = self.result(number)
        if answer.type != "GO":
            return answer
        assert answer.OFFSET == 0
        self.data(number, content, step)
        self.end(number, content)
        return self.result(number)

    def content(self, number):
        """DATA up to the END or ERROR: bytes, and that message."""
        data = b""
        while True:
            message = self.result(number)
            if message is None or message.type != "DATA":
                return data, message
            data += message.payload

    def get(self, name, *attributes):
        """FILE (or ERROR), content, END."""
        number = self.request("GET", ("NAME", name), ("DIGEST_KIND", 2), *attributes)
        answer = self.result(number)
        if answer.type != "FILE":
            return answer, None, None
        data, end = self.content(number)
        return answer, data, end


def new_upload_id():
    return os.urandom(16)
