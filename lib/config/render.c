/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration back to words; see config.h. */
#include "lib/config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct words {
	char **argv;
	int n;
	char *buf;
	size_t cap, at;
	bool failed;
};

static void put(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct words *w, const char *fmt, ...)
{
	size_t room = w->cap - w->at;
	va_list ap;
	int len;

	if (w->failed)
		return;
	va_start(ap, fmt);
	len = vsnprintf(w->buf + w->at, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room || w->n + 1 >= CONFIG_WORDS_MAX) {
		w->failed = true;
		return;
	}
	w->argv[w->n++] = w->buf + w->at;
	w->at += (size_t)len + 1;
}

static const char *onoff(bool on)
{
	return on ? "on" : "off";
}

static void put_disk(struct words *w, const struct config_disk *d)
{
	put(w, "--disk=%.*s,format=raw,readonly=%s,queues=%u", (int)d->path_len, d->path,
	    onoff(d->readonly), d->queues);
}

/* One word for all. */
static void put_allowed(struct words *w, uint64_t allowed)
{
	char names[1024] = "";
	size_t at = 0;

	for (size_t i = 0; i < N_FEATURES && at < sizeof(names); i++)
		if (allowed >> i & 1)
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
					       at ? "," : "", features[i].name);
	if (at)
		put(w, "--allow=%s", names);
}

static void put_limit(struct words *w, const char *key, uint64_t value, const char *unit)
{
	if (value == CONFIG_LIMIT_NONE)
		put(w, "--limit-%s=none", key);
	else if (value != CONFIG_LIMIT_DEFAULT)
		put(w, "--limit-%s=%llu%s", key, (unsigned long long)value, unit);
}

static void put_io(struct words *w, const char *key, uint64_t value)
{
	if (value != CONFIG_LIMIT_NONE)
		put(w, "--limit-io=%s=%llu", key, (unsigned long long)value);
}

static void put_limits(struct words *w, const struct config_limits *l)
{
	put_limit(w, "memory", l->memory, "");
	put_limit(w, "tasks", l->tasks, "");
	put_limit(w, "cpu", l->cpu_percent, "%");
	put_io(w, "rbps", l->rbps);
	put_io(w, "wbps", l->wbps);
	put_io(w, "riops", l->riops);
	put_io(w, "wiops", l->wiops);
}

int config_render(const struct vm_config *c, char *argv[CONFIG_WORDS_MAX], char *buf, size_t cap)
{
	static const char *const consoles[] = { "auto", "safe", "raw", "none" };
	static const char *const accels[] = { "auto", "kvm", "soft" };
	struct words w = { .argv = argv, .buf = buf, .cap = cap };

	if (c->name)
		put(&w, "--name=%s", c->name);
	if (c->kernel)
		put(&w, "--kernel=%s", c->kernel);
	if (c->initrd)
		put(&w, "--initrd=%s", c->initrd);
	put(&w, "--cmdline=%s", c->cmdline);
	put(&w, "--memory=%llu", (unsigned long long)c->memory);
	put(&w, "--huge-pages=%s", onoff(c->huge_pages));
	put(&w, "--cpus=%u", c->cpus);
	for (size_t i = 0; i < c->n_disks; i++)
		put_disk(&w, &c->disks[i]);
	put(&w, "--rng=%s", onoff(c->rng));
	put(&w, "--rng-rate=%llu", (unsigned long long)c->rng_rate);
	put(&w, "--console=%s", consoles[c->console]);
	put(&w, "--console-input=%s", c->input == INPUT_VIRTIO ? "virtio" : "serial");
	put(&w, "--detach=%s", onoff(c->detach));
	if (c->stop_timeout_s)
		put(&w, "--stop-timeout=%u", c->stop_timeout_s);
	else
		put(&w, "--stop-timeout=none");
	put(&w, "--on-reboot=%s", c->on_reboot == ACTION_STOP ? "stop" : "restart");
	put(&w, "--on-panic=%s", c->on_panic == ACTION_CONTINUE ? "continue" : "stop");
	put(&w, "--accel=%s", accels[c->accel]);
	put_allowed(&w, c->allowed);
	put_limits(&w, &c->limits);
	if (c->cgroup)
		put(&w, "--cgroup=%s", c->cgroup);
	put(&w, "--strict=%s", onoff(c->strict));
	put(&w, "--verbose=%s", onoff(c->verbose));
	if (w.failed)
		return -E2BIG;
	argv[w.n] = NULL;
	return w.n;
}
