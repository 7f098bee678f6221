/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of a VM, by what their kinds declare; see keys.h. */
#include "lib/config/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void device_init(struct config_device *d, const struct device_kind *kind)
{
	*d = (struct config_device){ .kind = kind };
	d->off = kind->number == KIND_FIRMWARE || (kind->number == KIND_SWITCH && !kind->initially);
	for (size_t i = 0; i < kind->n_options; i++)
		option_init(&kind->options[i], d->options);
}

void devices_init(struct vm_config *c)
{
	for (size_t i = 0; i < n_kinds_all && i < KINDS_MAX; i++)
		if (kinds_all[i]->number != KIND_MANY && kinds_all[i]->number != KIND_BEHIND &&
		    kinds_all[i]->number != KIND_INSTEAD)
			device_init(&c->devices[c->n_devices++], kinds_all[i]);
}

void devices_settle(struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].kind->number == KIND_FIRMWARE)
			c->devices[i].off = !c->firmware;
}

struct config_device *devices_single(struct vm_config *c, const struct device_kind *kind)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].kind == kind)
			return &c->devices[i];
	return NULL;
}

const struct device_kind *config_behind(const struct config_device *d)
{
	return d->foreign ? NULL : kind_behind(d->kind, d->options);
}

const struct config_device *config_flash(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].kind->flash_fd)
			return &c->devices[i];
	return NULL;
}

bool config_is_disk(const struct config_device *d)
{
	return d->kind->number == KIND_MANY && d->kind->file.fd && !d->kind->flash_fd;
}

bool config_has_disk(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (config_is_disk(&c->devices[i]))
			return true;
	return false;
}

const struct device_kind *config_server(const struct config_device *d)
{
	return d->foreign ? d->kind : kind_server(d->kind, d->options);
}

const char *config_opens(const struct config_device *d)
{
	return d->off ? NULL : config_server(d)->opens;
}

bool config_has_server(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].remote)
			return true;
	return false;
}

bool config_reaches(const struct config_device *d)
{
	uint32_t port;

	return !d->off && d->kind->reaches && d->kind->reaches(d->options, 0, &port);
}

bool config_dials(const struct vm_config *c)
{
	for (size_t i = 0; i < c->n_devices; i++)
		if (config_reaches(&c->devices[i]) || config_opens(&c->devices[i]))
			return true;
	return config_has_server(c);
}

static bool counts(const struct config_device *d, const struct device_kind *kind)
{
	if (d->off || d->foreign)
		return false;
	if (!kind)
		return config_is_disk(d);
	return config_server(d) == kind || config_behind(d) == kind;
}

size_t config_count(const struct vm_config *c, const struct device_kind *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_devices; i++)
		n += counts(&c->devices[i], kind);
	return n;
}

size_t config_count_own(const struct vm_config *c, const struct device_kind *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_devices; i++)
		n += c->devices[i].kind == kind && !c->devices[i].off && !c->devices[i].foreign;
	return n;
}

size_t config_count_all(const struct vm_config *c, const struct device_kind *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_devices; i++)
		n += c->devices[i].kind == kind && !c->devices[i].off;
	return n;
}

size_t config_link_number(const struct vm_config *c, size_t i)
{
	size_t n = 0;

	while (i-- > 0)
		n += config_link_fds(&c->devices[i]);
	return n;
}

size_t config_count_opened(const struct vm_config *c, enum kind_opens opens)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_devices; i++)
		n += config_is_on(&c->devices[i], opens);
	return n;
}

bool config_file_readonly(const struct config_device *d, unsigned int i)
{
	unsigned int nth;
	const struct kind_files *f = i ? kind_files_of(d->kind, i - 1, &nth) : NULL;

	return config_readonly(d) || (f && f->only_read);
}

static unsigned int of_devices(const struct vm_config *c)
{
	unsigned int n = 0;

	for (size_t i = 0; i < c->n_devices; i++)
		if (!c->devices[i].off && !c->devices[i].foreign)
			n += 1 + (config_behind(&c->devices[i]) != NULL);
	return n;
}

unsigned int config_processes(const struct vm_config *c)
{
	return 2 + of_devices(c) + config_spares(c);
}

unsigned int config_spares(const struct vm_config *c)
{
	return c->on_crash == CRASH_RESTART ? CONFIG_SPARES : 0;
}

bool devices_fit(const struct vm_config *c, unsigned int more)
{
	return c->n_devices + more <= CONFIG_DEVICES_MAX &&
	       of_devices(c) + more <= CONFIG_DEVICES_MAX;
}

/* Before those of later kinds. */
void devices_insert(struct vm_config *c, const struct config_device *d)
{
	size_t at = c->n_devices;

	while (at > 0 && kind_index(c->devices[at - 1].kind) > kind_index(d->kind))
		at--;
	memmove(&c->devices[at + 1], &c->devices[at], (c->n_devices - at) * sizeof(*d));
	c->devices[at] = *d;
	c->n_devices++;
}

/* ---- one of many: FILE,OPTION=VALUE,... ---- */

static const struct option *find_option(const struct device_kind *kind, struct span name)
{
	for (size_t i = 0; i < kind->n_options; i++)
		if (!(kind->options[i].flags & OPTION_INNER) &&
		    span_is(name, kind->options[i].name))
			return &kind->options[i];
	return NULL;
}

/* "a disk has format=, readonly= and queues= (and no comma in its name)" */
static void say_options(const struct device_kind *kind, char *why, size_t cap)
{
	size_t at = (size_t)snprintf(why, cap, "a %s has", kind->word), last = 0;

	for (size_t i = 0; i < kind->n_options; i++)
		if (!(kind->options[i].flags & OPTION_INNER))
			last = i;
	for (size_t i = 0; i <= last && i < kind->n_options && at < cap; i++)
		at += (size_t)snprintf(why + at, cap - at, "%s %s=",
				       i == 0			       ? "" :
				       i == last && !kind->file.n_more ? " and" :
									 ",",
				       kind->options[i].name);
	for (size_t i = 0; i < kind->file.n_more && at < cap; i++)
		at += (size_t)snprintf(why + at, cap - at, "%s %s=",
				       i + kind->n_options == 0	  ? "" :
				       i + 1 == kind->file.n_more ? " and" :
								    ",",
				       kind->file.more[i].word);
	if (at < cap && kind->file.fd)
		snprintf(why + at, cap - at, " (and no comma in its name)");
}

/* Of a habit from elsewhere. */
static int no_file_word(const struct device_kind *kind, char *why, size_t cap)
{
	char form[120];

	kind_form(kind, true, form, sizeof(form));
	snprintf(why, cap,
		 "the %s comes first and without file=: say %s (./file=X if it is called so)",
		 kind->file.noun, form);
	return -EINVAL;
}

/* ---- files beside the device's own ---- */

static const struct kind_files *find_files(const struct device_kind *kind, struct span name,
					   unsigned int *ret_first)
{
	unsigned int first = 0;

	for (size_t i = 0; i < kind->file.n_more; i++) {
		if (span_is(name, kind->file.more[i].word)) {
			*ret_first = first;
			return &kind->file.more[i];
		}
		first += kind->file.more[i].most;
	}
	return NULL;
}

static unsigned int count_files(const struct config_device *d, const struct kind_files *f,
				unsigned int first)
{
	unsigned int n = 0;

	while (n < f->most && d->more[first + n].path)
		n++;
	return n;
}

static int add_file(struct config_device *d, const struct kind_files *f, unsigned int first,
		    struct span path, char *why, size_t cap)
{
	unsigned int n = count_files(d, f, first);

	if (path.len == 0 || path.len > CONFIG_PATH_MAX) {
		snprintf(why, cap, "%s= must be the name of a file", f->word);
		return -EINVAL;
	}
	if (n == f->most) {
		snprintf(why, cap, "a %s has at most %u %s%s", d->kind->word, f->most, f->noun,
			 f->most > 1 ? "s" : "");
		return -EINVAL;
	}
	d->more[first + n] = (struct config_file){ path.at, path.len };
	return 0;
}

/* Each has its option, and the two are said side by side. */
static int check_each(const struct config_device *d, bool to_the_end, char *why, size_t cap)
{
	unsigned int first = 0;

	for (size_t i = 0; i < d->kind->file.n_more; i++) {
		const struct kind_files *f = &d->kind->file.more[i];
		const struct option *o = f->each ? kind_option(d->kind, f->each) : NULL;
		unsigned int files = count_files(d, f, first);
		unsigned int said = o ? option_count(o, d->options) : files;

		first += f->most;
		if (said == files || (!to_the_end && said + 1 == files))
			continue;
		snprintf(why, cap, "each %s= is followed by its %s=, which is never guessed",
			 f->word, f->each);
		return -EINVAL;
	}
	return 0;
}

static int check_together(const struct config_device *d, char *why, size_t cap)
{
	struct kind_said said = { .options = d->options };
	unsigned int first = 0;
	int r = check_each(d, true, why, cap);

	if (r < 0 || !d->kind->file.check)
		return r;
	for (size_t i = 0; i < d->kind->file.n_more; i++) {
		said.n_files[i] = count_files(d, &d->kind->file.more[i], first);
		first += d->kind->file.more[i].most;
	}
	return d->kind->file.check(&said, why, cap);
}

/* ---- its options ---- */

static int set_word(struct config_device *d, struct span word, uint64_t *said, char *why,
		    size_t cap)
{
	struct span value = word;
	struct span name = span_cut(&value, '=');
	const struct option *o = find_option(d->kind, name);
	unsigned int first = 0;
	const struct kind_files *files = find_files(d->kind, name, &first);
	const char *right = NULL;
	char range[100];

	if (files)
		return add_file(d, files, first, value, why, cap) < 0 ?
			       -EINVAL :
			       check_each(d, false, why, cap);
	if (!o && span_is(name, "file"))
		return no_file_word(d->kind, why, cap);
	if (!o) {
		say_options(d->kind, why, cap);
		return -EINVAL;
	}
	if (option_set_span(o, d->options, value, &right) < 0) {
		option_range(o, range, sizeof(range));
		snprintf(why, cap, "%s must be %s", o->name, right ? right : range);
		return -EINVAL;
	}
	*said |= 1ULL << (o - d->kind->options);
	return o->list ? check_each(d, false, why, cap) : 0;
}

static int check_required(const struct device_kind *kind, uint64_t said, char *why, size_t cap)
{
	char form[120];

	for (size_t i = 0; i < kind->n_options; i++) {
		if (!(kind->options[i].flags & OPTION_REQUIRED) || said >> i & 1)
			continue;
		kind_form(kind, true, form, sizeof(form));
		snprintf(why, cap, "%s: say %s", kind->unsaid, form);
		return -EINVAL;
	}
	return 0;
}

/* The file's name; *rest is left behind it. */
static int cut_path(struct config_device *d, struct span *rest, char *why, size_t cap)
{
	struct span path = span_cut(rest, ',');

	if (path.len >= 5 && memcmp(path.at, "file=", 5) == 0)
		return no_file_word(d->kind, why, cap);
	if (path.len == 0 || path.len > CONFIG_PATH_MAX)
		return -EINVAL;
	d->path = path.at;
	d->path_len = path.len;
	return 0;
}

static const struct kind_way *find_way(const struct device_kind *kind, struct span word)
{
	for (size_t i = 0; i < kind->link.n_ways; i++)
		if (span_is(word, kind->link.ways[i].word))
			return &kind->link.ways[i];
	return NULL;
}

static int check_way(const struct kind_way *w, struct span value, char *why, size_t cap)
{
	uint64_t number;

	if (!w->value && !value.len)
		return 0;
	if (!w->value)
		snprintf(why, cap, "%s has no value", w->word);
	else if (w->number && value_number(value, w->min, w->max, &number) < 0)
		snprintf(why, cap, "%s must be %llu to %llu", w->word, (unsigned long long)w->min,
			 (unsigned long long)w->max);
	else if (!w->number && (value.len < w->min || value.len > w->max))
		snprintf(why, cap, "%s must be a name of %llu to %llu bytes", w->word,
			 (unsigned long long)w->min, (unsigned long long)w->max);
	else
		return 0;
	return -EINVAL;
}

/* How it is joined comes first; *rest is left behind it. */
static int cut_way(struct config_device *d, struct span *rest, char *why, size_t cap)
{
	const struct kind_link *link = &d->kind->link;
	struct span value = span_cut(rest, ',');
	const struct kind_way *w = find_way(d->kind, span_cut(&value, '='));
	char form[100];

	if (!w) {
		kind_ways_form(d->kind, ", ", " or ", form, sizeof(form));
		snprintf(why, cap, "what it is joined to comes first and is never guessed: say %s",
			 form);
		return -EINVAL;
	}
	d->options[link->way_at] = (unsigned char)(w - link->ways);
	d->to = (struct config_file){ value.at, value.len };
	return check_way(w, value, why, cap);
}

/* What stands where its file's name would. */
static int look_at_path(struct config_device *d, char *why, size_t cap)
{
	const char *right = "";
	int r = d->kind->file.address ?
			d->kind->file.address(d->options, d->path, d->path_len, &right) :
			0;

	if (r < 0)
		snprintf(why, cap, "%.*s: %s", (int)(d->path_len < 200 ? d->path_len : 200),
			 d->path, right);
	d->remote = r > 0;
	return r < 0 ? r : 0;
}

/* Its options are its own back end's. */
static int cut_socket(struct config_device *d, struct span rest, char *why, size_t cap)
{
	const size_t len = strlen(CONFIG_FOREIGN);

	if (d->path_len == len || rest.len) {
		snprintf(why, cap, "say %sSOCKET alone: what serves it has the options",
			 CONFIG_FOREIGN);
		return -EINVAL;
	}
	d->path += len;
	d->path_len -= len;
	d->foreign = true;
	return 0;
}

static bool is_foreign(const struct device_kind *kind, struct span said)
{
	const size_t len = strlen(CONFIG_FOREIGN);

	return kind->foreign && said.len >= len && memcmp(said.at, CONFIG_FOREIGN, len) == 0;
}

static int set_words(struct config_device *d, struct span rest, char *why, size_t cap)
{
	uint64_t said = 0;

	while (rest.len)
		if (set_word(d, span_cut(&rest, ','), &said, why, cap) < 0)
			return -EINVAL;
	return check_required(d->kind, said, why, cap) < 0 ? -EINVAL : check_together(d, why, cap);
}

static int add(struct vm_config *c, const struct device_kind *kind, const char *value, char *why,
	       size_t cap)
{
	struct span rest = span_of(value);
	const bool foreign = is_foreign(kind, rest);
	struct config_device d;

	if (!kind->file.fd && span_is(rest, "none"))
		return 0;
	device_init(&d, kind);
	if ((kind->file.fd || foreign) && cut_path(&d, &rest, why, cap) < 0)
		return -EINVAL;
	if (kind->link.n_ways && !foreign && cut_way(&d, &rest, why, cap) < 0)
		return -EINVAL;
	if (config_count_all(c, kind) == kind->most) {
		snprintf(why, cap, "at most %u %s%s", kind->most, kind->word,
			 kind->most > 1 ? "s" : "");
		return -EINVAL;
	}
	if (c->n_devices == CONFIG_DEVICES_MAX) {
		snprintf(why, cap, "a VM has at most %d devices", CONFIG_DEVICES_MAX);
		return -EINVAL;
	}
	if (foreign ? cut_socket(&d, rest, why, cap) < 0 :
		      look_at_path(&d, why, cap) < 0 || set_words(&d, rest, why, cap) < 0)
		return -EINVAL;
	if (of_devices(c) + (config_behind(&d) != NULL) >= CONFIG_DEVICES_MAX) {
		snprintf(why, cap, "a VM has at most %d processes for its devices",
			 CONFIG_DEVICES_MAX);
		return -EINVAL;
	}
	devices_insert(c, &d);
	return 0;
}

/* ---- one that is attached ---- */

int config_device_parse(const struct device_kind *kind, const char *value,
			struct config_device *ret, char *why, size_t cap)
{
	struct span rest = span_of(value);

	device_init(ret, kind);
	if (is_foreign(kind, rest)) {
		snprintf(why, cap, "a %s that is attached has a process of ours: say its %s",
			 kind->word, kind->file.fd ? kind->file.noun : "link");
		return -EINVAL;
	}
	if (kind->file.fd && cut_path(ret, &rest, why, cap) < 0) {
		if (!*why)
			snprintf(why, cap, "the name of its %s comes first", kind->file.noun);
		return -EINVAL;
	}
	if (kind->link.n_ways && cut_way(ret, &rest, why, cap) < 0)
		return -EINVAL;
	if (ret->path && look_at_path(ret, why, cap) < 0)
		return -EINVAL;
	return set_words(ret, rest, why, cap);
}

/* Whether an address comes first, or what means to be one: it has no file whose name would be left out. */
static bool has_address(const struct device_kind *kind, const char *text)
{
	struct config_device d;
	const char *right;

	device_init(&d, kind);
	return kind->file.address &&
	       kind->file.address(d.options, text, strcspn(text, ","), &right) != 0;
}

int config_device_options(const struct device_kind *kind, const char *text,
			  struct config_device *ret, char *why, size_t cap)
{
	if (kind->link.n_ways || has_address(kind, text))
		return config_device_parse(kind, text, ret, why, cap);
	device_init(ret, kind);
	return set_words(ret, span_of(text), why, cap);
}

int devices_set(struct vm_config *c, const struct device_kind *kind, const char *value, char *why,
		size_t cap)
{
	bool on;
	int r;

	if (kind->number == KIND_MANY)
		return add(c, kind, value, why, cap);
	r = value_onoff(span_of(value), &on);
	if (r == 0)
		devices_single(c, kind)->off = !on;
	return r;
}
