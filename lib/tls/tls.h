/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of a client, 1.2 and 1.3, over a socket that never blocks: OpenSSL's libssl, which is linked statically and can
 * load nothing (refuse.c): no configuration file, no engine, no provider but its own, no trust of the host's.
 * All its memory, keys among it, is one arena that is locked and in no core, made before the sandbox (arena.c); so
 * that it takes no calls but recvmsg, sendmsg and getrandom.
 *
 * One per process. The peer is HOSTILE until its certificate, or what it knows of the shared key, has been checked.
 */
#ifndef BULKHEAD_TLS_TLS_H
#define BULKHEAD_TLS_TLS_H

#include <stddef.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#define TLS_ARENA (4U << 20) /* bytes */
#define TLS_TEXT_MAX 160U

struct tls_error {
	char text[TLS_TEXT_MAX + 1];
};

/* Files that are open, or -1: PEM, but for psk: "NAME:HEX", a line, as psktool and qemu have it. */
struct tls_files {
	int psk;       /* a shared key, in the place of certificates */
	int ca;	       /* who is trusted to say whose a server's certificate is */
	int cert, key; /* the client's own, both or none */
};

/*
 * Before the sandbox: all that takes calls, and reads the files, each of 64 KiB at most, without moving their
 * offsets. host: whom the server's certificate must be of, a name or an address; "" of a local socket: whoever the
 * ca says. 0, or a negative errno with the reason in *e.
 */
[[nodiscard]] int tls_open(const struct tls_files *f, const char *host, struct tls_error *e);
/* A new connection over sock, which stays the caller's. The one before is forgotten. */
void tls_begin(int sock);
/* Goes on with the handshake. 0: it is up; -EAGAIN; -EPIPE: the peer has gone; -EPROTO: with the reason in tls_why. */
[[nodiscard]] int tls_handshake(void);
/* One piece, after the handshake: bytes, 0: the peer has ended it, -EAGAIN, -EPIPE, -EPROTO. What send was to take
 * when it said -EAGAIN is what the next one begins with. */
[[nodiscard]] ssize_t tls_send(const struct iovec *iov, size_t n);
[[nodiscard]] ssize_t tls_receive(const struct iovec *iov, size_t n);
/* Says that nothing more is sent, if that goes without waiting. */
void tls_end(void);
/* Why the last connection failed, in words, or "". */
const char *tls_why(void);

/* arena.c: before anything of libssl is called. 0, or a negative errno. */
[[nodiscard]] int tls_arena_open(void);

#endif
