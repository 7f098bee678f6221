/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the part of the completion for bash that knows the options of `bulkhead run`: their names, and
 * for each what its value can begin with. Behind the text of the file that is named.
 */
#include "lib/config/keys.h"

#include <stdio.h>
#include <string.h>

static void print_names(void)
{
	struct config_key key;

	printf("\n_bulkhead_options='");
	for (size_t i = 0; config_key_at(i, &key); i++)
		printf("%s--%s", i ? " " : "", key.name);
	printf("'\n");
}

static void print_kinds(void)
{
	char kinds[200];

	kinds_attachable(" ", kinds, sizeof(kinds));
	printf("\n_bulkhead_kinds='%s'\n", kinds);
}

static void print_experimental(void)
{
	const char *before = "";

	for (size_t i = 0; i < N_FEATURES; i++) {
		if (features[i].status != FEATURE_EXPERIMENTAL)
			continue;
		printf("%s%s", before, features[i].name);
		before = " ";
	}
}

static bool is_file(const struct config_key *key)
{
	return key->type == KEY_DEVICE ? key->kind->number == KIND_MANY :
					 key->option->type == OPTION_PATH;
}

/* The words that there are, as far as they are words. */
static void print_words(const struct config_key *key)
{
	const struct option *o = key->option;

	if (config_key_is_switch(key))
		printf("on off");
	for (size_t i = 0; o && o->choices && o->choices[i]; i++)
		printf("%s%s", i ? " " : "", o->choices[i]);
	if (o && o->flags & OPTION_NONE)
		printf("none");
}

static void print_value(const struct config_key *key)
{
	printf("\t--%s)\n", key->name);
	if (is_file(key)) {
		printf("\t\tcompopt -o filenames\n"
		       "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$2\")\n");
	} else if (key->option && key->option->flags & OPTION_ADDS_UP) {
		printf("\t\t_bulkhead_list '");
		print_experimental();
		printf("' \"$2\"\n");
	} else {
		printf("\t\tmapfile -t COMPREPLY < <(compgen -W '");
		print_words(key);
		printf("' -- \"$2\")\n");
	}
	printf("\t\t;;\n");
}

static int copy(const char *name)
{
	FILE *f = fopen(name, "r");
	int c;

	if (!f) {
		perror(name);
		return 1;
	}
	while ((c = getc(f)) != EOF)
		putchar(c);
	return fclose(f) != 0;
}

int main(int argc, char **argv)
{
	struct config_key key;

	if (argc != 2 || copy(argv[1]))
		return 1;
	print_names();
	print_kinds();
	printf("\n_bulkhead_value() {\n\tcase $1 in\n");
	for (size_t i = 0; config_key_at(i, &key); i++)
		print_value(&key);
	printf("\t*)\n\t\treturn 1\n\t\t;;\n\tesac\n}\n");
	return fflush(stdout) != 0;
}
