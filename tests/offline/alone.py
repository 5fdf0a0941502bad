"""Runs a command in a network that holds this computer alone: python alone.py COMMAND ...

Linux gives the process a network of its own without any interface but the loopback, by which
notebooks speak with their kernels. Root may do so, others where the system lets them.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # flags of unshare, see linux/sched.h
SET_FLAGS, UP = 0x8914, 1  # of an interface, see linux/sockios.h and linux/if.h


def leave_the_network():
    """Move this process to a network of its own; ends it where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NETWORK) and libc.unshare(NEW_USER | NEW_NETWORK):
        sys.exit(f"no network of its own: {os.strerror(ctypes.get_errno())}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sh22x", b"lo", UP))


if __name__ == "__main__":
    leave_the_network()
    os.execvp(sys.argv[1], sys.argv[1:])
