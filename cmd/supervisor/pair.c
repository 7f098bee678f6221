/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device and the storage process behind it; see vm.h. Of the two the device speaks first and waits until
 * it is answered, before it is ready; the storage process is ready before anybody speaks with it. So:
 *
 *   the device was started again    its channel goes to the storage process, as soon as that is ready
 *   the storage process was         a channel of the device that waits for it is the one; else its own goes
 *                                   to the device, unless that is still to be started
 *
 * A relay has no such channel: both ends of its stream are the launcher's to give again.
 */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"

static bool is_behind(const struct part *p)
{
	return p->device && p->device->number == KIND_BEHIND;
}

/* The number of its channel to a peer, or LAUNCHER_MAX_CHANNELS. */
static size_t find(const struct part *p)
{
	size_t i = 0;

	while (i < LAUNCHER_MAX_CHANNELS && !p->again.peer[i])
		i++;
	return i;
}

struct part *pair_device(const struct part *p)
{
	size_t i = find(p);

	if (is_behind(p) && i < LAUNCHER_MAX_CHANNELS)
		return p->again.peer[i];
	return is_behind(p) && p->plug.with ? p->plug.with : &p->vm->parts[p - p->vm->parts];
}

struct part *pair_behind(const struct part *p)
{
	size_t i = find(p);

	if (is_behind(p))
		return NULL;
	return i < LAUNCHER_MAX_CHANNELS ? p->again.peer[i] : p->plug.with;
}

void pair_tie(struct part *device, struct part *storage)
{
	if (storage->device->link_fd) {
		device->plug.with = storage;
		storage->plug.with = device;
		return;
	}
	device->again.peer[device->again.n_channels++] = storage;
	storage->again.peer[storage->again.n_channels++] = device;
}

void pair_untie(struct part *device)
{
	struct part *storage = pair_behind(device);

	if (!storage)
		return;
	if (!device->plug.with) {
		device->again.peer[find(device)] = NULL;
		storage->again.peer[find(storage)] = NULL;
	}
	device->plug.with = storage->plug.with = NULL;
}

bool pair_is_needed(const struct part *p)
{
	size_t i = find(p);

	return is_behind(p) && i < LAUNCHER_MAX_CHANNELS && p->again.peer[i]->state != PART_GONE;
}

/* What cannot be given is closed, which whoever is at the other end sees. */
static void give(const struct part *to, int *channel)
{
	const struct control_msg m = { .type = CTL_CHANNEL };

	if (*channel >= 0)
		(void)!tell_peer(to->control, &m, *channel);
	closep(channel);
}

void pair_began(struct part *p)
{
	size_t i = find(p);
	const struct part *peer = i < LAUNCHER_MAX_CHANNELS ? p->again.peer[i] : NULL;

	if (peer && !is_behind(p) && peer->state == PART_READY)
		give(peer, &p->again.channels[i]);
}

void pair_ready(struct part *p)
{
	size_t i = find(p), k;
	struct part *peer;

	if (i == LAUNCHER_MAX_CHANNELS || !is_behind(p))
		return;
	peer = p->again.peer[i];
	k = find(peer);
	if (peer->again.channels[k] >= 0)
		give(p, &peer->again.channels[k]);
	else if (peer->state == PART_READY || peer->state == PART_STARTING)
		give(peer, &p->again.channels[i]);
	closep(&p->again.channels[i]);
}
