"""Runs a command in a terminal of its own until its output has so many marks, then types Ctrl-C.

Arguments: the marks' count, the mark, the command. Prints one object of JSON.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

DEADLINE_SECONDS = 30

count, mark, command = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3:]
primary, secondary = pty.openpty()
fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
before = termios.tcgetattr(secondary)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(secondary, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(secondary, number)
    os.execv(command[0], command)

output, typed, status = b"", False, None
end = time.monotonic() + DEADLINE_SECONDS
while status is None and time.monotonic() < end:
    if select.select([primary], [], [], 0.1)[0]:
        output += os.read(primary, 65536)
    if not typed and output.count(mark) >= count:
        os.write(primary, b"\x03")
        typed = True
    ended, waited = os.waitpid(pid, os.WNOHANG)
    if ended == pid:
        status = os.waitstatus_to_exitcode(waited)
while select.select([primary], [], [], 0)[0]:
    output += os.read(primary, 65536)
if status is None:
    os.kill(pid, 9)
print(
    json.dumps(
        {
            "code": status,
            "marks": output.count(mark),
            "output": output.decode(errors="replace"),
            "restored": termios.tcgetattr(secondary) == before,
        }
    )
)
