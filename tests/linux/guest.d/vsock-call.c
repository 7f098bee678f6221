/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock-call PORT TIMES BYTES TOGETHER: so many processes at a time connect to the host's port, each so often, send so many
 * bytes, which nobody can foresee but who knows the number of the connection, and compare what comes back. A line says
 * how many connections were right, refused, cut off, and wrong, which none may be.
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum outcome { RIGHT, REFUSED, CUT, WRONG, OUTCOMES };

static uint8_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint8_t)(*s >> 32);
}

static int call(unsigned int port)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK,
				 .svm_cid = VMADDR_CID_HOST,
				 .svm_port = port };
	int sock = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (sock >= 0 && connect(sock, (struct sockaddr *)&a, sizeof(a)) == 0)
		return sock;
	close(sock);
	return -1;
}

struct way {
	uint64_t made, wanted; /* generators: of what is sent, of what comes back */
	size_t left, missing;
	uint8_t out[16384];
	size_t at, len;
};

static int say(int sock, struct way *w)
{
	ssize_t n;

	if (w->at == w->len) {
		w->at = 0;
		w->len = w->left < sizeof(w->out) ? w->left : sizeof(w->out);
		w->left -= w->len;
		for (size_t i = 0; i < w->len; i++)
			w->out[i] = next(&w->made);
	}
	n = send(sock, w->out + w->at, w->len - w->at, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	w->at += (size_t)n;
	if (w->at == w->len && w->left == 0)
		return shutdown(sock, SHUT_WR);
	return 0;
}

/* 1: its end. */
static int hear(int sock, struct way *w, enum outcome *ret)
{
	uint8_t in[16384];
	ssize_t n = recv(sock, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN ? 0 : 1;
	for (ssize_t i = 0; i < n; i++)
		if (w->missing-- == 0 || in[i] != next(&w->wanted)) {
			*ret = WRONG;
			return 1;
		}
	if (n == 0 && w->missing == 0)
		*ret = RIGHT;
	return n == 0;
}

static enum outcome one(unsigned int port, uint64_t number, size_t bytes)
{
	static struct way w;
	enum outcome ret = CUT;
	int sock = call(port), done = 0;

	if (sock < 0)
		return REFUSED;
	w = (struct way){ .made = number, .wanted = number, .left = bytes, .missing = bytes };
	while (!done) {
		struct pollfd p = { sock, POLLIN, 0 };

		if (w.left || w.at < w.len)
			p.events |= POLLOUT;
		if (poll(&p, 1, -1) < 0)
			break;
		if (p.revents & POLLOUT && say(sock, &w) < 0)
			break;
		if (p.revents & ~POLLOUT)
			done = hear(sock, &w, &ret);
	}
	close(sock);
	return ret;
}

int main(int argc, char **argv)
{
	unsigned int port, times, together, sum[OUTCOMES] = { 0 };
	unsigned char *outcomes;
	size_t bytes;

	if (argc != 5)
		return 2;
	port = (unsigned int)strtoul(argv[1], NULL, 10);
	times = (unsigned int)strtoul(argv[2], NULL, 10);
	bytes = strtoul(argv[3], NULL, 10);
	together = (unsigned int)strtoul(argv[4], NULL, 10);
	outcomes = mmap(NULL, times * together, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (outcomes == MAP_FAILED)
		return 1;
	for (unsigned int i = 0; i < together; i++) {
		if (fork() != 0)
			continue;
		for (unsigned int k = i; k < times * together; k += together)
			outcomes[k] = (unsigned char)one(port, k + 1, bytes);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	for (unsigned int k = 0; k < times * together; k++)
		sum[outcomes[k]]++;
	printf("vsock-call %u: right %u refused %u cut %u wrong %u\n", port, sum[RIGHT],
	       sum[REFUSED], sum[CUT], sum[WRONG]);
	return sum[WRONG] != 0;
}
