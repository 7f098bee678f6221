/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces of the host's; see host.h. */
#include "cmd/bulkhead/net/host.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

static int ask(unsigned long request, const char *name, struct ifreq *r)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", name);
	return ioctl(fd, request, r) < 0 ? -errno : 0;
}

bool host_is_driven_by(const char *name, const char *driver)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq r = { .ifr_data = (void *)&info };

	return ask(SIOCETHTOOL, name, &r) == 0 &&
	       strncmp(info.driver, driver, sizeof(info.driver)) == 0;
}

int host_join_bridge(const char *bridge, unsigned int port)
{
	struct ifreq r = { .ifr_ifindex = (int)port };

	return ask(SIOCBRADDIF, bridge, &r);
}

int host_copy_mtu(const char *from, const char *to)
{
	struct ifreq r = { .ifr_mtu = 0 };
	int e = ask(SIOCGIFMTU, from, &r);

	return e < 0 ? e : ask(SIOCSIFMTU, to, &r);
}

void host_be_silent(const char *name)
{
	_cleanup_(closep) int fd = -1;
	char path[80];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

int host_set_up(const char *name)
{
	struct ifreq r = { .ifr_flags = 0 };
	int e = ask(SIOCGIFFLAGS, name, &r);

	r.ifr_flags |= IFF_UP;
	return e < 0 ? e : ask(SIOCSIFFLAGS, name, &r);
}

bool host_is_up(const char *name)
{
	struct ifreq r = { .ifr_flags = 0 };

	return ask(SIOCGIFFLAGS, name, &r) == 0 && r.ifr_flags & IFF_UP;
}

bool host_is_own_name(const char *name)
{
	return strncmp(name, "bh", 2) == 0 && strlen(name) == 10 &&
	       strspn(name + 2, "0123456789abcdef") == 8;
}

void host_make_name(char out[INTERFACE_NAME_MAX])
{
	uint32_t n = 0;

	(void)!getrandom(&n, sizeof(n), 0);
	snprintf(out, INTERFACE_NAME_MAX, "bh%08x", n);
}
