"""The local API of a daemon as any program may use it: HTTP on its Unix socket, without the commands."""
import json
import socket
import threading

from waiting import until


class Connection:
    """One connection; requests go one after the other, or it becomes a stream."""

    def __init__(self, path, limit=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(limit)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, start, body=b"", **headers):
        head = [start + " HTTP/1.1", f"Content-Length: {len(body)}"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*head, "", ""]).encode() + body)

    def head(self):
        """The status of the next response, and its headers."""
        status = self.file.readline().decode().split(" ", 2)
        headers = {}
        while line := self.file.readline().decode().strip():
            name, value = line.split(": ", 1)
            headers[name.lower()] = value
        return int(status[1]), headers

    def answer(self):
        """The status of the next response, and its JSON."""
        status, headers = self.head()
        return status, json.loads(self.file.read(int(headers["content-length"])))

    def call(self, method, **params):
        """Make a call; returns its result."""
        self.send("POST /", json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())
        status, response = self.answer()
        assert status == 200 and response["id"] == 1 and "error" not in response, response
        return response["result"]

    def listen(self, topics=()):
        """Make it a stream of events; returns the first one."""
        self.send("GET /events" + ("?topics=" + ",".join(topics) if topics else ""))
        status, headers = self.head()
        assert status == 200 and headers["content-type"] == "text/event-stream"
        return self.event()

    def event(self):
        """The next event; None at the end."""
        for line in self.file:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                assert event["schema"] == 1 and event["topic"] and event["event"] and event["time"], event
                return event
        return None


class Ear(threading.Thread):
    """Reads events beside the test, and keeps them."""

    def __init__(self, daemon, topics=()):
        super().__init__(daemon=True)
        self.connection = Connection(daemon.state / "api.sock")
        self.events = [self.connection.listen(topics)]
        self.start()

    def run(self):
        try:
            while event := self.connection.event():
                self.events.append(event)
        except (OSError, ValueError):
            pass                        # closed by the test

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.socket.shutdown(socket.SHUT_RDWR)
        self.join(5)
        self.connection.close()

    def find(self, event, **facts):
        """The events of this name with these facts."""
        return [e for e in list(self.events) if e["event"] == event and facts.items() <= e.items()]

    def wait(self, event, limit=10, **facts):
        return until(f"the event {event} {facts}", lambda: self.find(event, **facts), limit,
                     detail=lambda: "\n".join(map(str, self.events[-20:])))[0]


def call(daemon, method, **params):
    """One call over a connection of its own."""
    with Connection(daemon.state / "api.sock") as connection:
        return connection.call(method, **params)


def mismatch(value, schema, place="answer"):
    """Where a value is not of the form that `help` shows (as much of JSON Schema as that uses), or None."""
    if "anyOf" in schema:
        found = [mismatch(value, each, place) for each in schema["anyOf"]]
        return None if None in found else found[0]
    kind = schema.get("type")
    types = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list,
             "object": dict, "null": type(None)}
    if not isinstance(value, types[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return f"{place} is {value!r}, not {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{place} is {value!r}, not one of {schema['enum']}"
    if not schema.get("minimum", value) <= value <= schema.get("maximum", value) if kind == "integer" else False:
        return f"{place} is {value}, out of bounds"
    parts = []
    if kind == "array":
        parts = [(each, schema["items"], f"{place}[{i}]") for i, each in enumerate(value)]
    elif "properties" in schema:
        if set(value) - set(schema["properties"]) or set(schema["required"]) - set(value):
            return f"{place} has the keys {sorted(value)}, not {sorted(schema['properties'])}"
        parts = [(each, schema["properties"][key], f"{place}.{key}") for key, each in value.items()]
    return next((found for part in parts if (found := mismatch(*part))), None)
