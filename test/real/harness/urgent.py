"""Both ends of a connection through the edge, one of which sends urgent data: bulk, so that the direction is spliced, one
urgent byte, bytes behind it, FIN. Node can't send urgent data. Waits for what was heard, never for time alone.

    urgent.py up|down LISTEN_PORT EDGE_PORT        prints: sent-sha256 heard-sha256 heard-bytes end
"""

import hashlib
import socket
import sys
import threading

BULK = b"a" * (8 << 20)
BEHIND = b"b" * 100_000
direction, listen_port, edge_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", listen_port))
listener.listen(1)
client = socket.create_connection(("127.0.0.1", edge_port))
server, _ = listener.accept()
source, sink = (client, server) if direction == "up" else (server, client)
for end in (source, sink):
    end.settimeout(10)

heard = hashlib.sha256()
count = 0
outcome = "none"
has_bulk = threading.Event()


def listen_to_end():
    global count, outcome
    try:
        while True:
            data = sink.recv(1 << 16)
            if not data:
                outcome = "fin"
                return
            heard.update(data)
            count += len(data)
            if count >= len(BULK):
                has_bulk.set()
    except OSError as error:
        outcome = repr(error)


thread = threading.Thread(target=listen_to_end)
thread.start()
source.sendall(BULK)
has_bulk.wait(10)
source.send(b"U", socket.MSG_OOB)
source.sendall(BEHIND)
source.shutdown(socket.SHUT_WR)
thread.join(10)
print(hashlib.sha256(BULK + b"U" + BEHIND).hexdigest(), heard.hexdigest(), count, outcome)
