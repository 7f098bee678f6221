/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp-trains ADDRESS PORT N: sends N trains of datagrams, each by one call (UDP_SEGMENT), to a host that sends each train
 * back; checks every datagram that comes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SEGMENTS 12
#define SIZE 1200 /* bytes of a datagram, also in tests/linux/test_debian_uso.py */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static void fill(unsigned char *at, unsigned int train, unsigned int segment)
{
	for (unsigned int k = 0; k < SIZE; k++)
		at[k] = (unsigned char)(train * 7 + segment * 13 + k);
}

static int one(int fd, unsigned int train)
{
	static unsigned char sent[SEGMENTS * SIZE], got[SIZE + 1];

	for (unsigned int i = 0; i < SEGMENTS; i++)
		fill(sent + i * SIZE, train, i);
	if (send(fd, sent, sizeof(sent), 0) != sizeof(sent))
		return perror("udp-trains: send"), -1;
	for (unsigned int i = 0; i < SEGMENTS; i++) {
		ssize_t n = recv(fd, got, sizeof(got), 0);

		if (n != SIZE || memcmp(got, sent + i * SIZE, SIZE) != 0) {
			printf("udp-trains: datagram %u of train %u is another, of %zd bytes\n", i,
			       train, n);
			return -1;
		}
	}
	return 0;
}

static int connect_to(const char *address, uint16_t port)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const bool is_six = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
	int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);

	if (!is_six && inet_pton(AF_INET, address, &four.sin_addr) != 1)
		return -1;
	if (is_six ? connect(fd, (struct sockaddr *)&six, sizeof(six)) < 0 :
		     connect(fd, (struct sockaddr *)&four, sizeof(four)) < 0)
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	const int size = SIZE;
	int fd;

	if (argc != 4)
		return fprintf(stderr, "usage: udp-trains ADDRESS PORT N\n"), 2;
	fd = connect_to(argv[1], (uint16_t)atoi(argv[2]));
	if (fd < 0 || setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0)
		return perror("udp-trains"), 1;
	for (unsigned int i = 0; i < (unsigned int)atoi(argv[3]); i++)
		if (one(fd, i) < 0)
			return 1;
	return 0;
}
