/* SPDX-License-Identifier: Apache-2.0 */
/* udp-echo PORT: sends each datagram back to where it came from, by both versions of IP, until one of them says "end". */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	static char buf[65536];
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };

	at.sin6_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 9));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return perror("udp-echo"), 1;
	for (;;) {
		struct sockaddr_in6 from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n < 0 || sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len) != n)
			return perror("udp-echo"), 1;
		if (n == 3 && memcmp(buf, "end", 3) == 0)
			return 0;
	}
}
