/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the part of the completion for bash that knows the options of `bulkhead run`: their names, and
 * for each what its value can begin with; and the same of each verb of `bulkhead image`. Behind the text of
 * the file that is named.
 */
#include "cmd/bulkhead/image/flags.h"
#include "cmd/bulkhead/verbs.h"
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
	const struct option *o = key->option;

	if (key->type == KEY_DEVICE)
		return key->kind->number == KIND_MANY;
	return o->type == OPTION_PATH || (o->value && strcmp(o->value, "FILE") == 0);
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

/* ---- bulkhead image ---- */

/* Of the options' table, whose functions say what is wrong. */
int complain(int status, const char *fmt, ...)
{
	(void)fmt;
	return status;
}

static bool is_of(const struct flag *f, size_t verb)
{
	return f->verbs >> verb & 1;
}

static void print_image_options(const char *const *verbs)
{
	const struct flag *f;

	printf("\n_bulkhead_image_options() {\n\tcase $1 in\n");
	for (size_t v = 0; v < IMAGE_SERVE; v++) {
		printf("\t%s) echo '", verbs[v]);
		for (size_t i = 0; (f = flag_at(i)); i++)
			if (is_of(f, v))
				printf("--%s ", f->name);
		printf("' ;;\n");
	}
	printf("\tesac\n}\n");
}

/* FORMAT, FILE, and what is words itself; whatever else it is the user knows. */
static void print_image_words(const char *value)
{
	if (strcmp(value, "FORMAT") == 0)
		for (size_t i = 0; image_formats[i]; i++)
			printf("%s ", image_formats[i]);
	else if (strcmp(value, "FILE") == 0)
		printf("FILE");
	else if (*value >= 'a')
		for (; *value; value++)
			putchar(*value == '|' ? ' ' : *value);
}

static void print_image_value(const char *const *verbs)
{
	const struct flag *f;

	printf("\n_bulkhead_image_value() {\n\tcase $1:$2 in\n");
	for (size_t i = 0; (f = flag_at(i)); i++)
		for (size_t v = 0; f->value && v < IMAGE_SERVE; v++) {
			if (!is_of(f, v))
				continue;
			printf("\t%s:--%s", verbs[v], f->name);
			if (f->letter)
				printf(" | %s:-%c", verbs[v], f->letter);
			printf(") echo '");
			print_image_words(f->value);
			printf("' ;;\n");
		}
	printf("\t*) return 1 ;;\n\tesac\n}\n");
}

int main(int argc, char **argv)
{
	const char *const *verbs = image_option("verb", 4)->choices;
	struct config_key key;

	if (argc != 2 || copy(argv[1]))
		return 1;
	print_names();
	print_kinds();
	printf("\n_bulkhead_value() {\n\tcase $1 in\n");
	for (size_t i = 0; config_key_at(i, &key); i++)
		print_value(&key);
	printf("\t*)\n\t\treturn 1\n\t\t;;\n\tesac\n}\n");
	print_image_options(verbs);
	print_image_value(verbs);
	return fflush(stdout) != 0;
}
