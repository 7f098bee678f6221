/* SPDX-License-Identifier: Apache-2.0 */
/* net-feature INTERFACE NAME: turns a feature on by its name in the kernel, as `ethtool --features INTERFACE NAME on` does. */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int fd;
static struct ifreq request;

static int ask(void *what)
{
	request.ifr_data = what;
	return ioctl(fd, SIOCETHTOOL, &request);
}

static unsigned int count(void)
{
	struct {
		struct ethtool_sset_info head;
		unsigned int n;
	} info = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };

	return ask(&info) < 0 ? 0 : info.n;
}

/* The number of the feature of that name, or -1. */
static int find(unsigned int n, const char *name)
{
	struct ethtool_gstrings *all = calloc(1, sizeof(*all) + (size_t)n * ETH_GSTRING_LEN);

	all->cmd = ETHTOOL_GSTRINGS;
	all->string_set = ETH_SS_FEATURES;
	all->len = n;
	if (ask(all) < 0)
		return -1;
	for (unsigned int i = 0; i < n; i++)
		if (strncmp((const char *)all->data + (size_t)i * ETH_GSTRING_LEN, name,
			    ETH_GSTRING_LEN) == 0)
			return (int)i;
	return -1;
}

int main(int argc, char **argv)
{
	struct ethtool_sfeatures *set;
	unsigned int n;
	int i;

	if (argc != 3)
		return fprintf(stderr, "usage: net-feature INTERFACE NAME\n"), 2;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", argv[1]);
	n = count();
	i = find(n, argv[2]);
	if (i < 0)
		return fprintf(stderr, "net-feature: %s has no %s\n", argv[1], argv[2]), 1;
	set = calloc(1, sizeof(*set) + (n + 31) / 32 * sizeof(set->features[0]));
	set->cmd = ETHTOOL_SFEATURES;
	set->size = (n + 31) / 32;
	set->features[i / 32].valid = set->features[i / 32].requested = 1U << i % 32;
	return ask(set) < 0 ? perror("net-feature"), 1 : 0;
}
