/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What storage-iscsi does with a target, without its sandbox: for tests against other people's targets.
 *
 *	iscsi-tool URI [chap=FILE] [target=FILE] [readonly] [logical=4096]
 *
 * Connects, and says "up SIZE BLOCK" and whether it can discard; then writes a pattern with many requests in flight, zeroes and
 * discards some, flushes, reads it back, and says "same"; or one line with the reason, and ends with 1. Then it does so again
 * for each line of its input, with a new connection whenever the old one has ended.
 */
#include "lib/base/cleanup.h"
#include "lib/image/iscsi_client.h"
#include "lib/iscsi/secret.h"
#include "lib/iscsi/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECES 32U
#define PIECE 163840U

static struct iscsi_uri uri;
static struct iscsi_who who = { .initiator = "iqn.2026-01.invalid.bulkhead:test",
				.isid = { 0x80, 1, 2, 3, 0, 1 } };
static struct iscsi_client client;
static uint8_t buffers[PIECES][PIECE];
static unsigned int n_done, portal;
static int worst;

static int connect_next(void)
{
	const struct iscsi_portal *p = &uri.portal[portal++ % uri.n_portals];
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(p->port) };
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (inet_pton(AF_INET, p->host, &in.sin_addr) != 1)
		exit(2);
	if (connect(sock, (void *)&in, sizeof(in)) < 0) {
		close(sock);
		return -errno;
	}
	return sock;
}

static int connect_all(void)
{
	int sock = connect_next(), r;

	if (sock < 0)
		return sock;
	r = iscsi_client_connect(&client, sock);
	return r < 0 ? r : iscsi_client_await(&client, -1, 20000);
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

	while (r == -ENOTCONN && (r = connect_all()) < 0 && r != -EBADMSG) {
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
		r = -ENOTCONN;
	}
	return r;
}

static int finish(unsigned int n)
{
	if (image_submit(&client.image) < 0)
		return -EIO;
	while (n_done < n) {
		int r = wait_one();

		if (r < 0)
			return r;
	}
	return worst;
}

static int one(enum image_op op, uint64_t offset, uint64_t len, bool sync)
{
	const struct image_io io = {
		.op = op, .offset = offset, .len = len, .sync = sync, .may_unmap = true
	};

	n_done = 0;
	worst = 0;
	return image_queue(&client.image, &io) < 0 ? -EIO : finish(1);
}

static int all(enum image_op op, uint8_t seed)
{
	static struct iovec iov[PIECES][2];

	n_done = 0;
	worst = 0;
	for (unsigned int i = 0; i < PIECES; i++) {
		const struct image_io io = { .op = op,
					     .offset = (uint64_t)i * PIECE,
					     .len = PIECE,
					     .sync = i % 4 == 3,
					     .iov = iov[i],
					     .n_iov = 2,
					     .handle = i };

		iov[i][0] = (struct iovec){ buffers[i], 100 };
		iov[i][1] = (struct iovec){ buffers[i] + 100, PIECE - 100 };
		memset(buffers[i], op == IMAGE_WRITE ? (uint8_t)(seed + i) : 0xee, PIECE);
		if (image_queue(&client.image, &io) < 0)
			return -EIO;
	}
	return finish(PIECES);
}

/* The second piece was zeroed. */
static bool is_same(uint8_t seed)
{
	for (unsigned int i = 0; i < PIECES; i++)
		for (unsigned int k = 0; k < PIECE; k++)
			if (i != 2 && buffers[i][k] != (i == 1 ? 0 : (uint8_t)(seed + i)))
				return false;
	return true;
}

static int same(uint8_t seed)
{
	int r = client.image.readonly ? 0 : all(IMAGE_WRITE, seed);

	if (r == 0 && !client.image.readonly)
		r = one(IMAGE_ZERO, PIECE, PIECE, true);
	if (r == 0 && client.image.can_discard)
		r = one(IMAGE_DISCARD, (uint64_t)2 * PIECE, PIECE, false);
	if (r == 0)
		r = one(IMAGE_FLUSH, 0, 0, false);
	if (r == 0)
		r = all(IMAGE_READ, seed);
	return r == 0 && !client.image.readonly && !is_same(seed) ? -EILSEQ : r;
}

static int fail(int r)
{
	printf("%s: %s\n", strerror(-r), client.why);
	return 1;
}

static int read_secret(const char *path, bool peer)
{
	char text[ISCSI_SECRET_FILE_MAX];
	const char *why = "cannot be read";
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text));
	int r = n < 0 ? -EIO :
		peer  ? iscsi_peer_take(text, (size_t)n, &who, &why) :
			iscsi_secret_take(text, (size_t)n, &who, &why);

	if (r < 0)
		printf("%s %s\n", path, why);
	return r;
}

int main(int argc, char **argv)
{
	const char *why = "";
	uint32_t logical = 512;
	bool readonly = false;
	char line[64];
	uint8_t seed = 1;
	int r = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || iscsi_uri_parse(argv[1], strlen(argv[1]), &uri, &why) < 0) {
		printf("%s\n", why);
		return 1;
	}
	for (int i = 2; i < argc && r == 0; i++)
		if (strncmp(argv[i], "chap=", 5) == 0)
			r = read_secret(argv[i] + 5, false);
		else if (strncmp(argv[i], "target=", 7) == 0)
			r = read_secret(argv[i] + 7, true);
		else if (strcmp(argv[i], "readonly") == 0)
			readonly = true;
		else
			logical = 4096;
	if (r < 0)
		return 1;
	who.target = uri.target;
	who.user = uri.user;
	iscsi_client_open(&client, &who, uri.lun, readonly, logical);
	client.image.done = done;
	r = connect_all();
	if (r < 0)
		return fail(r);
	printf("up %llu %u %s\n", (unsigned long long)client.image.capacity, client.disk.block,
	       client.image.can_discard ? "discards" : "-");
	do {
		r = same(seed += 7);
		if (r < 0)
			return fail(r);
		printf("same\n");
	} while (fgets(line, sizeof(line), stdin));
	return 0;
}
