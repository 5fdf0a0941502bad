"""Notes what a program of Python asks of other computers, in the file that ``ASKED`` names.

Python runs a module of this name at the start of every process that finds it on its path:
workers, steps of the graph and kernels of notebooks included. What a library does without
Python's own sockets is not seen.
"""

import os
import socket
import sys

ASKED = "BIRADS_TEST_ASKED"
"""Environment variable: the file that is written to."""
ADDRESSED = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}
"""Which argument of an event says with whom it is about."""


def own_addresses():
    """Names and addresses of this computer, as far as it knows them itself."""
    own = socket.gethostname()
    names = {"", "localhost", "0.0.0.0", "::", "::1", own, f"{own}.local", socket.getfqdn()}
    try:
        return names | set(socket.gethostbyname_ex(own)[2])
    except OSError:
        return names


def watch(path):
    """Note from here on who is asked, but for this computer."""
    own = own_addresses()

    def note(event, arguments):
        if event in ADDRESSED:
            asked = arguments[ADDRESSED[event]]
            host = asked[0] if isinstance(asked, tuple) else asked
            host = host.decode() if isinstance(host, bytes) else host
            named = isinstance(host, str) and not host.startswith(("127.", "/", "\0"))
            if named and host not in own:
                with open(path, "a") as file:
                    file.write(f"{os.path.basename(sys.argv[0])}: {event} {asked!r}\n")

    sys.addaudithook(note)


if ASKED in os.environ:
    watch(os.environ[ASKED])
