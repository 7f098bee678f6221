/* SPDX-License-Identifier: Apache-2.0 */
/* Name servers for a guest on the user's network; see resolvers.h. */
#include "lib/passt/resolvers.h"

#include "lib/base/cleanup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX 4096U /* what is behind that is not looked at */

/* An address as inet_pton takes it, and one that means the same on every host. */
static bool is_of_network(const char *text)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 != 127 && v4.s_addr != INADDR_ANY;
	return inet_pton(AF_INET6, text, &v6) == 1 && !IN6_IS_ADDR_LOOPBACK(&v6) &&
	       !IN6_IS_ADDR_UNSPECIFIED(&v6);
}

/* "nameserver ADDRESS", resolv.conf(5). */
static void take_line(char *line, struct resolvers *ret)
{
	char *rest = NULL, *word = strtok_r(line, " \t\r", &rest);
	const char *address =
		word && strcmp(word, "nameserver") == 0 ? strtok_r(NULL, " \t\r", &rest) : NULL;

	size_t len = address ? strlen(address) : 0;

	if (len && ret->n < RESOLVERS_MAX && len < sizeof(ret->text[0]) && is_of_network(address))
		memcpy(ret->text[ret->n++], address, len + 1);
}

static void read_file(const char *path, struct resolvers *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[FILE_MAX + 1], *rest = NULL;
	ssize_t len = fd < 0 ? -1 : read(fd, text, FILE_MAX);

	ret->n = 0;
	if (len <= 0)
		return;
	text[len] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		take_line(line, ret);
}

void resolvers_read(const char *first, const char *second, struct resolvers *ret)
{
	read_file(first, ret);
	if (ret->n)
		ret->n = 0; /* it knows them itself */
	else
		read_file(second, ret);
}
