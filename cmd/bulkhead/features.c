/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead features: what there is, how far it is, and which security claims hold. */
#include "lib/features/feature.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <jansson.h>
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

static json_t *claim_json(enum claim_id i)
{
	return json_pack("{ss ss sb sb}", "name", claims[i].name, "means", claims[i].means, "kvm",
			 holds(i, FEATURE_KVM), "soft", holds(i, FEATURE_SOFT));
}

static json_t *given_up_json(const struct feature *f)
{
	json_t *list = json_array();

	for (enum claim_id i = 0; i < N_CLAIMS; i++)
		if (feature_gives_up(f, i))
			(void)json_array_append_new(list, json_string(claims[i].name));
	return list;
}

static json_t *feature_json(const struct feature *f)
{
	return json_pack("{ss ss ss ss ss* ss ss so}", "name", f->name, "what", f->what, "process",
			 f->process, "surface", f->surface, "note", f->note, "shown_by",
			 f->shown_by, "status", feature_status_name(f->status), "gives_up",
			 given_up_json(f));
}

static int print_json(void)
{
	json_t *claim_list = json_array(), *feature_list = json_array();
	json_t *all = json_pack("{so so}", "claims", claim_list, "features", feature_list);
	int r = 0;

	for (enum claim_id i = 0; i < N_CLAIMS; i++)
		r |= json_array_append_new(claim_list, claim_json(i));
	for (size_t i = 0; i < N_FEATURES; i++)
		r |= json_array_append_new(feature_list, feature_json(&features[i]));
	if (r == 0)
		r = json_dumpf(all, stdout, JSON_INDENT(2));
	json_decref(all);
	putchar('\n');
	return r;
}

int verb_features(int argc, char **argv)
{
	bool json = argc == 1 && strcmp(argv[0], "--json") == 0;

	if (argc > (json ? 1 : 0))
		return complain(EXIT_WORDS, "features: '%.60s' will not do: say --json or nothing",
				argv[argc - 1]);
	if (!json)
		print_text();
	else if (print_json() < 0)
		return complain(EXIT_START, "features: out of memory, or standard output failed");
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
