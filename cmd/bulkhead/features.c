/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead features: what there is, how far it is, and which security claims hold. */
#include "lib/features/feature.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <stdio.h>
#include <string.h>

static bool holds(enum claim_id claim, enum feature_id accelerator)
{
	return !feature_gives_up(&features[accelerator], claim);
}

/* ---- for people ---- */

static void print_claims(void)
{
	printf("\n%-15s %-5s %-5s %s\n", "CLAIM", "KVM", "SOFT", "MEANS");
	for (enum claim_id i = 0; i < N_CLAIMS; i++)
		printf("%-15s %-5s %-5s %s\n", claims[i].name, holds(i, FEATURE_KVM) ? "yes" : "no",
		       holds(i, FEATURE_SOFT) ? "yes" : "no", claims[i].means);
}

static void print_feature(const struct feature *f)
{
	printf("%-15s %-17s %s\n", f->name, feature_status_name(f->status), f->what);
	printf("%-15s in %s; attack surface: %s\n", "", f->process, f->surface);
	for (enum claim_id i = 0; i < N_CLAIMS; i++)
		if (feature_gives_up(f, i))
			printf("%-15s gives up the claim: %s\n", "", claims[i].name);
	if (f->note)
		printf("%-15s %s\n", "", f->note);
}

static void print_text(void)
{
	printf("%-15s %-17s %s\n", "FEATURE", "STATUS", "WHAT");
	for (size_t i = 0; i < N_FEATURES; i++)
		print_feature(&features[i]);
	print_claims();
}

/* ---- for machines ---- */

/* The list's texts are printable ASCII. */
static void put_text(const char *key, const char *text)
{
	printf("\"%s\": \"", key);
	for (; *text; text++)
		printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	putchar('"');
}

static void put_claim(enum claim_id i)
{
	printf("    {");
	put_text("name", claims[i].name);
	printf(", ");
	put_text("means", claims[i].means);
	printf(", \"kvm\": %s, \"soft\": %s}%s\n", holds(i, FEATURE_KVM) ? "true" : "false",
	       holds(i, FEATURE_SOFT) ? "true" : "false", i + 1 < N_CLAIMS ? "," : "");
}

static void put_given_up(const struct feature *f)
{
	const char *before = "";

	printf("\"gives_up\": [");
	for (enum claim_id i = 0; i < N_CLAIMS; i++) {
		if (!feature_gives_up(f, i))
			continue;
		printf("%s\"%s\"", before, claims[i].name);
		before = ", ";
	}
	printf("]");
}

static void put_feature(const struct feature *f)
{
	const struct {
		const char *key, *text;
	} texts[] = {
		{ "name", f->name },	   { "what", f->what },
		{ "process", f->process }, { "surface", f->surface },
		{ "note", f->note },	   { "status", feature_status_name(f->status) },
	};

	printf("    {");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (!texts[i].text)
			continue;
		put_text(texts[i].key, texts[i].text);
		printf(", ");
	}
	put_given_up(f);
	printf("}%s\n", f + 1 < features + N_FEATURES ? "," : "");
}

static void print_json(void)
{
	printf("{\n  \"claims\": [\n");
	for (enum claim_id i = 0; i < N_CLAIMS; i++)
		put_claim(i);
	printf("  ],\n  \"features\": [\n");
	for (size_t i = 0; i < N_FEATURES; i++)
		put_feature(&features[i]);
	printf("  ]\n}\n");
}

int verb_features(int argc, char **argv)
{
	bool json = argc == 1 && strcmp(argv[0], "--json") == 0;

	if (argc > (json ? 1 : 0))
		return complain(EXIT_WORDS, "features: '%.60s' will not do: say --json or nothing",
				argv[argc - 1]);
	if (json)
		print_json();
	else
		print_text();
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain(EXIT_START, "features: standard output failed");
	return 0;
}

void complain_no_claim(const char *name, const struct feature *f)
{
	char given_up[100] = "";
	size_t at = 0;

	for (enum claim_id i = 0; i < N_CLAIMS && at < sizeof(given_up); i++)
		if (feature_gives_up(f, i))
			at += (size_t)snprintf(given_up + at, sizeof(given_up) - at, "%s%s",
					       at ? ", " : "", claims[i].name);
	complain(0, "%.64s: %s: no security claim: gives up %s: %s", name, f->what, given_up,
		 f->note);
}
