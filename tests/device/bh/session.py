# SPDX-License-Identifier: Apache-2.0
"""A driver at work: one connection, guest RAM, and the device's queues set up the right way."""

from . import guest, vhost_user as vu, wait

VIRTIO_KNOWN = guest.F_VERSION_1 | guest.F_INDIRECT_DESC | guest.F_EVENT_IDX


class Session:
    def __init__(self, sock, features=0, n_queues=1, num=64, event_idx=True, indirect=True,
                 watch=(), memory=None, protocol=vu.PROTOCOL_KNOWN, main=0):
        """features: the device type's own feature bits that the driver knows.
        main: the queue that is meant where none is named.
        watch: more descriptors whose readiness ends a wait (the process's)."""
        self.front = vu.FrontEnd(sock)
        self.watch = (sock.fileno(), *watch)
        self.own_memory = memory is None
        self.memory = memory or guest.Memory()
        self.num, self.n_queues = num, n_queues
        want = guest.F_VERSION_1 | features
        want |= guest.F_EVENT_IDX if event_idx else 0
        want |= guest.F_INDIRECT_DESC if indirect else 0
        self.want = want
        self.protocol = protocol
        self.queues = []
        self.main = main

    def start(self):
        self.front.negotiate(self.want, self.protocol, need=guest.F_VERSION_1)
        self.front.set_status(vu.STATUS_ACKNOWLEDGE | vu.STATUS_DRIVER)
        self.front.set_status(vu.STATUS_ACKNOWLEDGE | vu.STATUS_DRIVER | vu.STATUS_FEATURES_OK)
        self.front.set_mem_table(self.memory)
        self.start_queues()
        return self

    @property
    def event_idx(self):
        return bool(self.front.features & guest.F_EVENT_IDX)

    def start_queues(self):
        self.queues = []
        for i in range(self.n_queues):
            self.queues.append(guest.Queue(self.memory, self.num, self.event_idx))
            self.front.start_queue(self.queues[i], i)
        self.front.set_status(vu.STATUS_ACKNOWLEDGE | vu.STATUS_DRIVER | vu.STATUS_FEATURES_OK |
                              vu.STATUS_DRIVER_OK)

    def stop_queues(self):
        for i, q in enumerate(self.queues):
            self.front.stop_queue(i)
            q.close()
        self.queues = []

    def reset(self):
        """What a vmm does when the guest resets the device; queues begin anew afterwards."""
        self.stop_queues()
        if self.front.protocol_features & vu.PROTOCOL_F_STATUS:
            self.front.set_status(0)
        elif self.front.protocol_features & vu.PROTOCOL_F_RESET_DEVICE:
            self.front.tell(vu.RESET_DEVICE)
        self.front.tell(vu.SET_FEATURES, vu.u64(self.front.features))
        self.front.set_status(vu.STATUS_ACKNOWLEDGE | vu.STATUS_DRIVER)
        self.front.set_status(vu.STATUS_ACKNOWLEDGE | vu.STATUS_DRIVER | vu.STATUS_FEATURES_OK)

    def restart(self):
        self.reset()
        self.start_queues()

    def queue(self, index=None):
        return self.queues[self.main if index is None else index]

    def submit(self, bufs, queue=None, indirect=False):
        q = self.queue(queue)
        head = q.add(bufs, indirect)
        q.notify()
        return head

    def wait(self, n=1, queue=None):
        return self.queue(queue).wait_used(n, self.watch)

    def needs_reset(self):
        status = self.front.get_status()
        return status is not None and bool(status & vu.STATUS_NEEDS_RESET)

    def settle(self):
        """Returns once the device has looked at what it was last kicked for: its loop hears of the
        kick before, or together with, a message that was sent after it. The second round trip
        lets the handler finish."""
        self.front.ask_u64(vu.GET_FEATURES)
        self.front.ask_u64(vu.GET_FEATURES)

    def close(self):
        for q in self.queues:
            q.close()
        self.queues = []
        self.front.close()
        if self.own_memory:
            self.memory.close()
