/* SPDX-License-Identifier: Apache-2.0 */
/* bulkhead help, version. A screen has 24 lines of 80; the options of run take three. */
#include "cmd/bulkhead/help.h"

#include "cmd/bulkhead/paragraph.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/config/keys.h"

#include <stdio.h>
#include <string.h>

static const char overview[] =
	"bulkhead " BULKHEAD_VERSION ": virtual machines that nobody needs to trust\n"
	"\n"
	"  bulkhead run --kernel FILE [OPTION]...   start a VM, its console here\n"
	"  bulkhead ps                              list your VMs\n"
	"  bulkhead stop NAME [--timeout N] [--now] press its power button, or end it\n"
	"  bulkhead resume NAME                     let a paused VM go on\n"
	"  bulkhead vsock NAME PORT                 join input and output to its port\n"
	"  bulkhead console NAME [--console raw]    its console, when nobody else has it\n"
	"  bulkhead attach NAME disk FILE,format=raw   or rng, net user: one more\n"
	"  bulkhead detach NAME DEVICE              and the guest lets go of it\n"
	"  bulkhead link NAME CARD up|down          a network card's cable\n"
	"  bulkhead segment NAME                    its cards, and what was dropped\n"
	"  bulkhead resize NAME FILE [+]SIZE        a larger disk, while its guest runs\n"
	"  bulkhead explain [OPTION]...             its walls, before it is started\n"
	"  bulkhead image VERB [OPTION]... FILE...  make, read and change disk images\n"
	"  bulkhead features [--json]               what there is, and what it promises\n"
	"  bulkhead audit [NAME] [--deep] [--json]  hold its processes to their policies\n"
	"  bulkhead version                         say the version\n"
	"  bulkhead run --help                      the options of run\n"
	"\n"
	"In a console Ctrl-] q leaves. In run it presses the power button, and a second\n"
	"time ends the VM. Ctrl-] ? helps, Ctrl-] Ctrl-] types Ctrl-].\n"
	"Everything else is in bulkhead(1).\n";

#define VALUE_COLUMN 25
#define SCREEN 80U /* columns */

static const char run_end[] =
	"Ends with 0: guest powered off, 1: no start, 2: wrong words, 3: guest panic,\n"
	"4: guest crash, 5: a process failed, 6: ended from outside, 7: output was lost.\n";

/* "or safe, raw, none": what there is beside the default. */
static void add_others(const struct option *o, struct list *l)
{
	for (size_t i = 0; o->choices[i]; i++)
		if (strcmp(o->choices[i], o->initial) != 0)
			list_add(l, "%s%s", l->len ? "" : "or ", o->choices[i]);
}

/* What the option's values are, where the default stands beside its name already. */
static void add_values(const struct option *o, struct list *l)
{
	char range[120];

	if (o->type == OPTION_CHOICE) {
		add_others(o, l);
	} else if (o->type == OPTION_ONOFF) {
		if (strcmp(o->initial, "on") == 0)
			list_add(l, "or off");
	} else if (o->type == OPTION_TEXT && o->initial) {
		list_add(l, "%s", o->initial);
	} else if (o->type == OPTION_NUMBER || o->type == OPTION_SIZE ||
		   o->type == OPTION_PERCENT) {
		option_range(o, range, sizeof(range));
		list_add(l, "%s%s%s", o->value && o->initial ? o->initial : "",
			 o->value && o->initial ? "; " : "", range);
	}
}

static void print_line(const char *name, const char *value, const char *text, const char *more)
{
	char left[120];

	snprintf(left, sizeof(left), "--%s%s%s", name, *value ? " " : "", value);
	printf("  %-*s%s%s%s%s\n", *text || *more ? VALUE_COLUMN - 1 : 0, left,
	       *text || *more ? " " : "", text, *text && *more ? ": " : "", more);
}

static void print_option(const struct config_key *key)
{
	const struct option *o = key->option;
	struct list values = { .len = 0 };
	const char *value = o->value ? o->value : o->initial;

	add_values(o, &values);
	if (o->type == OPTION_ONOFF && strcmp(o->initial, "off") == 0)
		value = ""; /* said alone it is on */
	print_line(key->name, value ? value : "", values.text, o->help ? o->help : "");
}

/* Breaks between two of its options. */
static void print_form(const char *name, const char *form, const char *text)
{
	size_t column = strlen(name) + 5, n;

	printf("  --%s ", name);
	for (; *form; form += n, column += n) {
		n = 1 + strcspn(form + 1, "[");
		if (column + n >= SCREEN) {
			printf("\n    ");
			column = 4;
		}
		printf("%.*s", (int)n, form);
	}
	printf("%s%s\n", column + 1 + strlen(text) < SCREEN ? " " : "\n    ", text);
}

/* As many as fit into a line. */
static void print_more_files(const struct device_kind *kind)
{
	size_t column = 0;
	char form[120];

	for (size_t i = 0; i < kind->file.n_more; i++) {
		const struct kind_files *f = &kind->file.more[i];
		const char *dots = f->most > 1 ? "..." : "";
		size_t len;

		kind_files_form(f, form, sizeof(form));
		len = 2 + strlen(form) + strlen(dots);
		if (column == 0 || column + len >= SCREEN) {
			printf("%s    and ", column ? "\n" : "");
			column = 8;
		}
		printf("[%s]%s", form, dots);
		column += len;
	}
	if (column)
		putchar('\n');
}

static void print_device(const struct config_key *key)
{
	const struct device_kind *kind = key->kind;
	char form[400], times[40];

	if (kind->number == KIND_SWITCH) {
		print_line(key->name, kind->initially ? "on" : "off",
			   kind->initially ? "or off" : "or on", kind->declared->job);
		return;
	}
	kind_form(kind, false, form, sizeof(form));
	snprintf(times, sizeof(times), "up to %u", kind->most);
	print_form(key->name, form, times);
	print_more_files(kind);
}

void help_run(void)
{
	struct config_key key;

	puts("bulkhead run: start a VM. Shown values are the defaults.");
	for (size_t i = 0; config_key_at(i, &key); i++)
		if (key.type == KEY_DEVICE)
			print_device(&key);
		else
			print_option(&key);
	fputs(run_end, stdout);
}

int verb_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs(overview, stdout);
	return 0;
}

int verb_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("bulkhead " BULKHEAD_VERSION);
	return 0;
}
