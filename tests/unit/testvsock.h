/* SPDX-License-Identifier: Apache-2.0 */
/* A dev-vsock on a testdev with one client, whose connection the guest has taken: port 22 of the guest. */
#ifndef BULKHEAD_TESTS_TESTVSOCK_H
#define BULKHEAD_TESTS_TESTVSOCK_H

#include "cmd/dev-vsock/vsock.h"

#define TESTVSOCK_CID 3U
#define TESTVSOCK_PORT 22U

/* Takes sock. Returns the client's end. */
int testvsock_open(struct vsock *v, struct loop *loop, int sock);
/* The client has said `CONNECT`, and the guest has answered. */
void testvsock_join(struct vsock *v, struct loop *loop, int client);
/* From the guest, to that connection. */
struct packet testvsock_packet(const struct vsock *v, uint16_t op, uint32_t len);
void testvsock_close(struct vsock *v);

#endif
