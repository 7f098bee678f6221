/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock-echo PORT: takes one connection of the host after another, and sends back what it says until its end. One
 * that says "end" and no more is the last.
 */
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static long echo(int sock)
{
	static char bytes[65536];
	long sum = 0;
	ssize_t n;

	while ((n = read(sock, bytes, sizeof(bytes))) > 0) {
		if (sum == 0 && n == 3 && memcmp(bytes, "end", 3) == 0)
			return -1;
		for (ssize_t at = 0, done; at < n; at += done) {
			done = write(sock, bytes + at, (size_t)(n - at));
			if (done <= 0)
				return sum;
		}
		sum += n;
	}
	return sum;
}

int main(int argc, char **argv)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
	long sum;

	if (argc != 2)
		return 2;
	a.svm_port = (unsigned int)strtoul(argv[1], NULL, 10);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(listener, 8) < 0) {
		perror("vsock-echo");
		return 1;
	}
	puts("vsock-echo listens");
	fflush(stdout);
	do {
		int sock = accept(listener, NULL, NULL);

		if (sock < 0)
			return 1;
		sum = echo(sock);
		close(sock);
		printf("vsock-echo sent back %ld\n", sum);
		fflush(stdout);
	} while (sum >= 0);
	return 0;
}
