/* SPDX-License-Identifier: Apache-2.0 */
/* nft-tool TABLE INTERFACE LOWER OPTION=VALUE...: the rules of nftables that a network card's options make, for test_net_rules.py. LOWER: 0 or 1. */
#include "lib/base/cleanup.h"
#include "lib/netkit/nftables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct said {
	uint64_t mac;
	struct netkit_options frames;
};

static const struct option options[] = {
	{ .name = "mac",
	  .type = OPTION_MAC,
	  OPTION_FIELD(struct said, mac),
	  .min = 1,
	  .value = "ADDRESS" },
	NETKIT_OPTIONS(struct said, frames, 0),
};

static int set(struct said *s, char *word)
{
	char *value = strchr(word, '=');
	const char *why = "";

	if (!value)
		return -1;
	*value++ = 0;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(options[i].name, word) == 0)
			return option_set(&options[i], s, value, &why);
	return -1;
}

int main(int argc, char **argv)
{
	static char text[NFTABLES_TEXT_MAX];
	struct said s = { .mac = 0 };

	if (argc < 4)
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		option_init(&options[i], &s);
	for (int i = 4; i < argc; i++)
		if (set(&s, argv[i]) < 0) {
			fprintf(stderr, "nft-tool: %s\n", argv[i]);
			return 2;
		}
	const struct nftables_place place = { argv[1], argv[2], atoi(argv[3]) != 0 };

	return nftables_render(&s.frames, s.mac, &place, text, sizeof(text)) &&
			       fputs(text, stdout) >= 0 ?
		       0 :
		       1;
}
