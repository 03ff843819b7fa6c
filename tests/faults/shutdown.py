"""Shuts a mounted file system down as a power cut would: from here on nothing reaches its disk.

Usage: shutdown.py FOLDER FLAGS, with FS_IOC_SHUTDOWN's flags (Linux, fs/ext4/ext4.h):
0 syncs everything first, 1 writes the file system's own log, 2 writes nothing.
"""

import fcntl
import os
import struct
import sys

FS_IOC_SHUTDOWN = 0x8004587D

folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(folder, FS_IOC_SHUTDOWN, struct.pack("I", int(sys.argv[2])))
