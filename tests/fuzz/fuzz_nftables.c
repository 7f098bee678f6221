/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of a network card, as its user's words say it, becomes a table for the host's kernel that is whole: within its
 * bounds, in its own table alone, with brackets that close, every name that is used defined, and nothing of the words but
 * numbers in it.
 */
#include "tests/fuzz/fuzz.h"

#include "lib/netkit/nftables.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "bulkhead_7"
#define WORDS_MAX 64

struct said {
	uint64_t mac;
	struct netkit_options frames;
};

static const struct option options[] = {
	{ .name = "mac", .type = OPTION_MAC, OPTION_FIELD(struct said, mac), .min = 1 },
	NETKIT_OPTIONS(struct said, frames, 0),
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* "NAME=VALUE"; what is wrong changes nothing. */
static void take(struct said *s, char *word)
{
	const struct said before = *s;
	char *value = strchr(word, '=');
	const char *why = "";

	if (!value)
		return;
	*value++ = '\0';
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strcmp(options[i].name, word) == 0 &&
		    option_set(&options[i], s, value, &why) < 0)
			require(memcmp(&before, s, sizeof(before)) == 0);
}

/* In no line but its own, which it is not followed by words in. */
static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || strchr("\n\t {}@$#!=&<>,;:.-_/\"", c);
}

static void check_brackets(const char *text, size_t len)
{
	unsigned int open = 0, quotes = 0;

	for (size_t i = 0; i < len; i++) {
		require(text[i] && is_plain(text[i]));
		quotes += text[i] == '"';
		open += text[i] == '{';
		require(text[i] != '}' || open-- > 0);
	}
	require(open == 0 && quotes == 4); /* the interface, in two chains */
}

/* "VERB NAME" at the start of a line of the table. */
static bool has(const char *text, const char *verb, const char *name, size_t len)
{
	char line[80];

	snprintf(line, sizeof(line), "\n\t%s %.*s {", verb, (int)len, name);
	return strstr(text, line);
}

static void check_uses(const char *text, const char *before, const char *verb)
{
	const char *at = text;

	while ((at = strstr(at, before))) {
		size_t len;

		at += strlen(before);
		len = strcspn(at, " \n\t,;}");
		if (strncmp(at, "ll,", 3) != 0 && strncmp(at, "nh,", 3) != 0 &&
		    strncmp(at, "th,", 3) != 0)
			require(has(text, verb, at, len));
	}
}

static void check_table(const char *text, bool lower)
{
	require(strncmp(text, "define mac = 0x", 15) == 0);
	require(strstr(text, "\ntable netdev " TABLE " {\n"));
	check_uses(text, "goto ", "chain");
	check_uses(text, "jump ", "chain");
	check_uses(text, "@", "set");
	require(strstr(text, lower ? "from_guest {\n\t\ttype filter hook egress" :
				     "from_guest {\n\t\ttype filter hook ingress"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[NFTABLES_TEXT_MAX + 1];
	const struct nftables_place place = { TABLE, "tap-7", size && data[0] & 1 };
	struct said s;
	char *words = calloc(1, size + 1), *rest = words, *word;
	size_t len, cut;

	require(words);
	if (size)
		memcpy(words, data, size);
	memset(&s, 0, sizeof(s));
	for (size_t i = 0; i < N_OPTIONS; i++)
		option_init(&options[i], &s);
	strsep(&rest, "\n"); /* the byte that says which way round */
	for (unsigned int n = 0; n < WORDS_MAX && (word = strsep(&rest, "\n")); n++)
		take(&s, word);
	free(words);
	len = nftables_render(&s.frames, s.mac, &place, text, NFTABLES_TEXT_MAX);
	require(len > 0 && strlen(text) == len); /* all that can be said has room */
	check_brackets(text, len);
	check_table(text, place.lower);
	/* less room is never written beyond */
	cut = size % len;
	memset(text, 0x5a, sizeof(text));
	require(nftables_render(&s.frames, s.mac, &place, text, cut) == 0);
	require((uint8_t)text[cut] == 0x5a);
	return 0;
}
