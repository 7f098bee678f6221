/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What storage-nbd does with a server, without its sandbox: for tests against other people's servers.
 *
 *	nbd-tool URI [psk=FILE] [ca=FILE] [cert=FILE] [key=FILE]
 *
 * Connects, writes a pattern with many requests in flight, flushes, reads it back, and says "up SIZE", then "same"; or one
 * line with the reason, and ends with 1. Then it does so again for each line of its input, with a new connection when the old
 * one has ended: "again".
 */
#include "lib/base/cleanup.h"
#include "lib/image/nbd_client.h"
#include "lib/nbd/uri.h"
#include "lib/tls/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PIECES 64U
#define PIECE 20480U

static struct nbd_uri uri;
static struct nbd_client client;
static uint8_t buffers[PIECES][PIECE];
static unsigned int n_done;
static int worst;

static void begin(struct nbd_wire *w, int sock)
{
	(void)w;
	tls_begin(sock);
}

static int secure(struct nbd_wire *w)
{
	(void)w;
	return tls_handshake();
}

static ssize_t transfer(struct nbd_wire *w, const struct iovec *iov, size_t n, bool send)
{
	(void)w;
	return send ? tls_send(iov, n) : tls_receive(iov, n);
}

static void end(struct nbd_wire *w)
{
	(void)w;
	tls_end();
}

static struct nbd_wire wire = { begin, secure, transfer, end };

static int connect_uri(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int sock = socket(uri.local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_port = htons((uint16_t)atoi(uri.port));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", uri.socket);
	if (connect(sock, uri.local ? (void *)&un : (void *)&in,
		    uri.local ? sizeof(un) : sizeof(in)) < 0) {
		close(sock);
		return -errno;
	}
	return sock;
}

static int connect_all(void)
{
	int sock = connect_uri(), r;

	if (sock < 0)
		return sock;
	nbd_client_connect(&client, sock);
	r = nbd_client_await(&client, -1, 20000);
	return r == -EPIPE ? client.why : r;
}

static void done(void *owner, uint64_t handle, int result)
{
	(void)owner;
	(void)handle;
	n_done++;
	if (result < 0)
		worst = result;
}

static int wait_one(void)
{
	int r = image_wait(&client.image);

	while (r == -ENOTCONN && connect_all() < 0)
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	return r == -ENOTCONN ? 0 : r;
}

static int all(enum image_op op, uint8_t seed)
{
	static struct iovec iov[PIECES];
	unsigned int n = op == IMAGE_FLUSH ? 1 : PIECES;

	n_done = 0;
	worst = 0;
	for (unsigned int i = 0; i < n; i++) {
		struct image_io io = { .op = op, .handle = i };

		iov[i] = (struct iovec){ buffers[i], PIECE };
		if (op != IMAGE_FLUSH) {
			io.offset = (uint64_t)i * 2 * PIECE;
			io.len = PIECE;
			io.iov = &iov[i];
			io.n_iov = 1;
			memset(buffers[i], op == IMAGE_WRITE ? (uint8_t)(seed + i) : 0xee, PIECE);
		}
		if (image_queue(&client.image, &io) < 0)
			return -EIO;
	}
	if (image_submit(&client.image) < 0)
		return -EIO;
	while (n_done < n) {
		int r = wait_one();

		if (r < 0)
			return r;
	}
	return worst;
}

static int same(uint8_t seed)
{
	int r = all(IMAGE_WRITE, seed);

	if (r == 0)
		r = all(IMAGE_FLUSH, seed);
	if (r == 0)
		r = all(IMAGE_READ, seed);
	for (unsigned int i = 0; i < PIECES && r == 0; i++)
		for (unsigned int k = 0; k < PIECE; k++)
			if (buffers[i][k] != (uint8_t)(seed + i))
				return -EILSEQ;
	return r;
}

static int fail(int r)
{
	printf("%s: %s %s\n", strerror(-r), r == -EPROTO ? tls_why() : "", client.hand.refusal);
	return 1;
}

int main(int argc, char **argv)
{
	struct tls_files f = { -1, -1, -1, -1 };
	struct tls_error e = { "" };
	const char *why = "";
	char line[64];
	int r;
	uint8_t seed = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || nbd_uri_parse(argv[1], strlen(argv[1]), &uri, &why) < 0) {
		printf("%s\n", why);
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		const char *path = strchr(argv[i], '=');
		int fd = path ? open(path + 1, O_RDONLY | O_CLOEXEC) : -1;

		*(argv[i][0] == 'p' ? &f.psk :
		  argv[i][0] == 'k' ? &f.key :
		  argv[i][1] == 'a' ? &f.ca :
				      &f.cert) = fd;
	}
	if (uri.tls && tls_open(&f, uri.host, &e) < 0) {
		printf("%s\n", e.text);
		return 1;
	}
	nbd_client_open_remote(&client, -1, false, uri.name, uri.tls ? &wire : NULL);
	client.image.done = done;
	r = connect_all();
	if (r < 0)
		return fail(r);
	printf("up %llu\n", (unsigned long long)client.image.capacity);
	do {
		r = same(seed += 7);
		if (r < 0)
			return fail(r);
		printf("same\n");
	} while (fgets(line, sizeof(line), stdin));
	return 0;
}
